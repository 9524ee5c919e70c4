"""Removing ended jobs with everything that the database knows of them. Operations of the one writer.

All events of a job go with it, so that the log still tells just the jobs that are there. What they cost is added to
the sums of their days first. The ids are never used again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from engine import events as log
from engine.model import State
from engine.money import TOKENS
from engine.store import budgets, scores, tools
from engine.store.reader import DAY_MS
from engine.store.writer import Transaction
from engine.upkeep.wire import ENDED

BATCH = 500  #: jobs of one transaction: some 15 ms in which nobody else can write
LOOK = 5_000  #: ended jobs that one transaction looks at to find those

Place = tuple[int, int]
"""Where in the order of their ends the search goes on: `ended_at` and id."""

_ENDED = (
    "SELECT ended_at, id, state FROM jobs WHERE ended_at IS NOT NULL "
    "AND ended_at >= ? AND ended_at < ? AND (ended_at, id) > (?, ?) AND id NOT IN (SELECT job FROM attachments) "
    "AND id NOT IN (SELECT job FROM merges WHERE merges.ended_at IS NULL) "
    "AND NOT EXISTS (SELECT 1 FROM pipelines WHERE pipelines.batch = jobs.batch AND pipelines.ended_at IS NULL) "
    "ORDER BY ended_at, id LIMIT ?"
)
_THESE = "IN (SELECT value FROM json_each(?1))"
_OPEN = "state IN ('blocked', 'ready', 'running', 'gating')"
# Something unfinished comes after it, or is of its batch, or is to follow its batch: how far that is must stay true.
_NEEDED = (
    f"SELECT needs FROM dependencies JOIN jobs ON jobs.id = dependencies.job WHERE needs {_THESE} AND jobs.{_OPEN} "
    f"UNION SELECT id FROM jobs AS ended WHERE id {_THESE} AND batch IS NOT NULL "
    f"AND EXISTS (SELECT 1 FROM jobs WHERE jobs.batch = ended.batch AND jobs.{_OPEN}) "
    "UNION SELECT jobs.id FROM jobs JOIN batches ON batches.id = jobs.batch "
    f"JOIN jobs AS following ON following.id = batches.follow_up WHERE jobs.id {_THESE} AND following.{_OPEN}"
)
_OF_THESE = f"IN (SELECT id FROM attempts WHERE job {_THESE})"
_GONE = (
    "SELECT jobs.id, jobs.title, jobs.state, number, workspace, branch FROM jobs "
    f"LEFT JOIN attempts ON attempts.job = jobs.id WHERE jobs.id {_THESE} ORDER BY jobs.id, number"
)
_KEEP_USAGE = (
    f"INSERT INTO pruned_usage (day, agent, account, project, kind, model, grade, attempts, {', '.join(TOKENS)}, "
    "cost_micros) "
    f"SELECT ledger.at - ledger.at % {DAY_MS}, ledger.agent, ifnull(attempts.account, ''), ifnull(jobs.project, ''), "
    "ifnull(jobs.kind, ''), ledger.model, iif(ledger.cost_micros IS NULL, 'unknown', ledger.grade), "
    f"count(DISTINCT ledger.attempt), {', '.join(f'sum(ledger.{name})' for name in TOKENS)}, sum(ledger.cost_micros) "
    "FROM attempts JOIN jobs ON jobs.id = attempts.job JOIN ledger ON ledger.attempt = attempts.id "
    f"WHERE attempts.job {_THESE} GROUP BY 1, 2, 3, 4, 5, 6, 7 "
    "ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts, "
    f"{', '.join(f'{name} = {name} + excluded.{name}' for name in TOKENS)}, "
    "cost_micros = coalesce(cost_micros + excluded.cost_micros, cost_micros, excluded.cost_micros)"
)
_DELETE_LEDGER = f"DELETE FROM ledger WHERE attempt {_OF_THESE}"
_DELETE_USAGE = f"DELETE FROM usage WHERE attempt {_OF_THESE}"
_DELETE_SKILLS = f"DELETE FROM skills_given WHERE attempt {_OF_THESE}"
_DELETE_HAND_OFFS = f"DELETE FROM hand_offs WHERE job {_THESE}"
_DELETE_ATTEMPTS = f"DELETE FROM attempts WHERE job {_THESE}"
_DELETE_EVENTS = f"DELETE FROM events WHERE job {_THESE}"
# What they came after goes; that others came after them, and how they ended, stays with those others.
_DELETE_DEPENDENCIES = f"DELETE FROM dependencies WHERE job {_THESE}"
_DELETE_DECISIONS = f"DELETE FROM decisions WHERE job {_THESE}"
_DELETE_RULES = f"DELETE FROM rules WHERE job {_THESE}"
_DELETE_LOOKS = f"DELETE FROM gate_looks WHERE job {_THESE}"
_DELETE_MOVES = f"DELETE FROM moves WHERE job {_THESE}"
_DELETE_JOBS = f"DELETE FROM jobs WHERE id {_THESE}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Ended jobs to remove: at most `limit` of them, which ended before a time (milliseconds UTC) in these states."""

    before: int
    states: frozenset[State] = ENDED
    limit: int = BATCH
    past: Place = (0, 0)
    """Only those whose place in the order of their ends comes after this one."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A job that was removed, and what it may have left in the home."""

    job: int
    title: str
    state: State
    attempts: tuple[int, ...]
    """Their numbers."""
    workspaces: tuple[str, ...]
    branch: str | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one transaction removed. `past` is where the next one goes on; None where there is no more."""

    gone: tuple[Gone, ...]
    events: int
    needed: int
    """Jobs that were left because an unfinished one comes after them, or is of their batch."""
    past: Place | None


def prune(tx: Transaction, wanted: Wanted, by: str) -> Pruned:
    """Remove jobs, never one that an unfinished job comes after or that is of an open batch, and nothing of today."""
    ids, needed, past = choose(tx.connection, wanted, tx.now)
    if not ids:
        return Pruned((), 0, needed, past)
    these = _json(ids)
    gone = _gone(tx.connection, these)
    run = tx.connection.execute
    run(_KEEP_USAGE, (these,))
    scores.prune(tx, these)
    run(_DELETE_LEDGER, (these,))
    run(_DELETE_USAGE, (these,))
    run(_DELETE_SKILLS, (these,))
    run(_DELETE_HAND_OFFS, (these,))
    tools.prune(tx, these)
    run(_DELETE_ATTEMPTS, (these,))
    events = run(_DELETE_EVENTS, (these,)).rowcount
    run(_DELETE_DEPENDENCIES, (these,))
    run(_DELETE_DECISIONS, (these,))
    run(_DELETE_RULES, (these,))
    run(_DELETE_MOVES, (these,))
    run(_DELETE_LOOKS, (these,))
    run(_DELETE_JOBS, (these,))
    budgets.forget(tx, ids)
    tx.log(log.Pruned(by=by, jobs=len(ids), before=latest(wanted.before, tx.now)))
    return Pruned(gone, events, needed, past)


def choose(connection: sqlite3.Connection, wanted: Wanted, now: int) -> tuple[list[int], int, Place | None]:
    """The ids that `prune` would remove now, how many it leaves because they are needed, and where to go on."""
    before = latest(wanted.before, now)
    found = connection.execute(_ENDED, (wanted.past[0], before, *wanted.past, LOOK)).fetchall()
    asked = [(ended_at, job) for ended_at, job, state in found if state in wanted.states]
    there = connection.execute(_NEEDED, (_json([job for _, job in asked]),)).fetchall() if asked else []
    needed = {int(row[0]) for row in there}
    ids: list[int] = []
    left = 0
    for ended_at, job in asked:
        if job in needed:
            left += 1
            continue
        ids.append(job)
        if len(ids) == wanted.limit:
            return ids, left, (ended_at, job)
    return ids, left, (found[-1][0], found[-1][1]) if len(found) == LOOK else None


def latest(before: int, now: int) -> int:
    """The time before which something may be pruned: not of today, in this zone or in UTC, so that its sums are exact.

    Only sums of whole days in UTC are kept.
    """
    midnight = datetime.fromtimestamp(now / 1000).replace(hour=0, minute=0, second=0, microsecond=0)
    today = int(midnight.timestamp() * 1000)
    return min(before, today - today % DAY_MS)


def _gone(connection: sqlite3.Connection, these: str) -> tuple[Gone, ...]:
    rows: dict[int, Gone] = {}
    for job, title, state, number, workspace, branch in connection.execute(_GONE, (these,)):
        before = rows.get(job) or Gone(job, title, State(state), (), (), None)
        if number is None:
            rows[job] = before
            continue
        places = before.workspaces if workspace is None else tuple(dict.fromkeys((*before.workspaces, workspace)))
        rows[job] = Gone(job, title, before.state, (*before.attempts, number), places, branch or before.branch)
    return tuple(rows.values())


def _json(ids: Sequence[int]) -> str:
    return msgspec.json.encode(ids).decode()
