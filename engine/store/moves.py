"""Moves of jobs between targets, and what the database knows of the targets. Operations of the one writer."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine import events as log
from engine.model import LIMITS, Failure, Target
from engine.model.route import Expected, Rerouting, RouteCause, TrackRecord
from engine.store.fold import record
from engine.store.rows import JobRow
from engine.store.writer import Transaction

LOOK = 2_000  #: attempts, the newest ones, that tell what a target costs and how well it does
SAMPLES = 30  #: of these, for one target and kind

#: How attempts end that says nothing of how well a target works.
_NO_VERDICT = frozenset({Failure.RATE_LIMITED, Failure.OVERLOADED, Failure.AUTH, Failure.BILLING, Failure.ENGINE_LOST})
_INSERT = (
    "INSERT INTO moves (job, at, attempt, route, was, target, cause, reason, until, added, by) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_OF_JOB = "SELECT at, was, target, by, cause, reason, until, added, attempt FROM moves WHERE job = ? ORDER BY id"
_NEWEST = (
    "SELECT a.agent, a.model, a.account, lanes.kind, a.succeeded, a.failure, "
    "iif(a.succeeded, (SELECT sum(cost_micros) FROM usage WHERE usage.attempt = a.id), NULL) "
    "FROM attempts AS a LEFT JOIN lanes ON lanes.id = a.lane "
    f"WHERE a.id > (SELECT ifnull(max(id), 0) FROM attempts) - {LOOK} AND a.ended_at IS NOT NULL ORDER BY a.id DESC"
)
_REQUEUED = (
    "SELECT json_extract(body, '$.not_before') FROM events "
    "WHERE job = ? AND json_extract(body, '$.kind') = 'requeued' ORDER BY seq DESC LIMIT 1"
)
_ROUTED = (
    "SELECT ifnull(json_extract(body, '$.routed'), json_extract(body, '$.why')) FROM events WHERE job = ? "
    "AND json_extract(body, '$.kind') IN ('submitted', 'routed') ORDER BY seq DESC LIMIT 1"
)
_MADE = "SELECT route, count(*) FROM moves WHERE route IS NOT NULL AND at > ? GROUP BY route"
_TAKEN = "SELECT route, count(*) FROM jobs WHERE route IS NOT NULL AND ended_at IS NULL GROUP BY route"


@dataclass(frozen=True, slots=True)
class Moving:
    """A move that is to be made. `by`: the route, or who wanted it."""

    to: Target
    by: str
    cause: RouteCause | None = None
    reason: str = ""
    until: int | None = None
    added: int | None = None
    at_once: bool = False


def move(tx: Transaction, row: JobRow, moving: Moving, attempt: int | None = None) -> JobRow:
    """Let a job go on at another target, and keep that it did."""
    to = moving.to
    body = log.Rerouted(
        by=moving.by,
        agent=to.agent,
        model=to.model,
        account=to.account,
        was=str(row.target),
        at_once=moving.at_once,
        cause=moving.cause,
        reason=moving.reason,
        until=moving.until,
        added=moving.added,
    )
    after = record(tx, row, body, attempt)
    keep(tx, row, after, moving, attempt)
    return after


def keep(tx: Transaction, before: JobRow, after: JobRow, moving: Moving, attempt: int | None = None) -> None:
    """Note a move in the table of moves."""
    tx.connection.execute(
        _INSERT,
        (after.id, tx.now, attempt, after.route, str(before.target), str(after.target), moving.cause, moving.reason,
         moving.until, moving.added, moving.by),
    )  # fmt: skip


def of_job(tx: Transaction, job: int) -> list[Rerouting]:
    """The moves of a job, the oldest first."""
    return [
        Rerouting(
            at=at,
            was=was,
            to=to,
            by=by,
            cause=RouteCause(cause) if cause else None,
            reason=reason,
            until=until,
            added=added,
            attempt=attempt,
        )
        for at, was, to, by, cause, reason, until, added, attempt in tx.connection.execute(_OF_JOB, (job,))
    ]


def spent(moves: Sequence[Rerouting]) -> int | None:
    """Micro-dollars that the moves of a job have added, but for the operator's own; None where one is not known."""
    added = [one.added for one in moves if one.cause is not None]
    return None if None in added else sum(one or 0 for one in added)


@dataclass(slots=True)
class Experience:
    """What the newest attempts on a target cost and how they ended: of a kind, or of any (None)."""

    costs: dict[str | None, list[int]] = field(default_factory=dict)
    ends: dict[str | None, list[bool]] = field(default_factory=dict)

    def expected(self, kind: str | None) -> Expected | None:
        found = self.costs.get(kind) or self.costs.get(None)
        return Expected(round(statistics.median(found)), len(found)) if found else None

    def record(self, kind: str | None) -> TrackRecord:
        found = self.ends.get(kind) or self.ends.get(None) or []
        return TrackRecord(sum(found), len(found))


def experience(tx: Transaction) -> Mapping[str, Experience]:
    """What is known of each target that was used of late, as it is written."""
    found: dict[str, Experience] = {}
    for agent, model, account, kind, succeeded, failure, cost in tx.connection.execute(_NEWEST):
        if not succeeded and (failure is None or Failure(failure) in _NO_VERDICT):
            continue
        one = found.setdefault(str(Target(agent, model, account)), Experience())
        for key in {kind, None}:
            ends = one.ends.setdefault(key, [])
            if len(ends) < SAMPLES:
                ends.append(bool(succeeded))
            costs = one.costs.setdefault(key, [])
            if cost is not None and len(costs) < SAMPLES:
                costs.append(int(cost))
    return found


def waits_for_limit(tx: Transaction, row: JobRow) -> bool:
    """Whether a job waits until a limit of its account ends, and not for a time that somebody has chosen since."""
    if row.not_before is None or row.failure not in LIMITS:
        return False
    found = tx.connection.execute(_REQUEUED, (row.id,)).fetchone()
    return found is not None and found[0] == row.not_before


def why_routed(tx: Transaction, row: JobRow) -> str:
    """Why a job takes the route that it takes, as its submission said."""
    found = tx.connection.execute(_ROUTED, (row.id,)).fetchone()
    return str(found[0] or "") if found else ""


def tallies(tx: Transaction, since: int) -> tuple[dict[str, int], dict[str, int]]:
    """By route: the unfinished jobs that take it, and the moves that it has made since a time."""
    taken = dict(tx.connection.execute(_TAKEN).fetchall())
    return taken, dict(tx.connection.execute(_MADE, (since,)).fetchall())
