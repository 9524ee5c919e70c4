"""What a model said of a job's class, and what follows from it. Operations of the one writer."""

from __future__ import annotations

from dataclasses import dataclass

from engine import events as log
from engine.config.triage import TriageSettings, placement
from engine.model import State, Triage
from engine.store import clarify
from engine.store.fold import record
from engine.store.rows import JobRow, read_job, read_spec
from engine.store.triage import Reroute
from engine.store.writer import Transaction

_UNANSWERED = (
    "SELECT id FROM jobs WHERE state IN ('ready', 'blocked') AND kind = ?1 "
    "UNION ALL SELECT id FROM jobs WHERE state IN ('running', 'gating') AND kind = ?1"
)
_TODAY = (
    "SELECT count(DISTINCT usage.attempt), ifnull(sum(usage.cost_micros), 0) FROM usage "
    "JOIN attempts ON attempts.id = usage.attempt JOIN lanes ON lanes.id = attempts.lane "
    "WHERE usage.at >= ? AND lanes.kind = ?"
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What was said of a job. `until`: so long it was to wait for that."""

    job: int
    until: int | None
    by: str
    triage: Triage | None
    why: str = ""


def unanswered(tx: Transaction, kind: str) -> list[int]:
    """The questions that have not ended."""
    return [int(row[0]) for row in tx.connection.execute(_UNANSWERED, (kind,))]


def of_today(tx: Transaction, kind: str, since: int) -> tuple[int, int]:
    """Questions since a time, those that are open included, and what they cost, in micro-dollars."""
    count, cost = tx.connection.execute(_TODAY, (since, kind)).fetchone()
    return int(count) + len(unanswered(tx, kind)), int(cost)


def take(tx: Transaction, said: Opinion, settings: TriageSettings, reroute: Reroute) -> JobRow | None:
    """Let a job that still waits for an opinion be what was said of it, and start. Else nothing is done to it."""
    row = read_job(tx.connection, said.job)
    if row is None or row.state not in (State.READY, State.BLOCKED) or row.attempts:
        return None
    if said.triage is not None and row.triage is None:
        row = record(tx, row, log.Triaged(by=said.by, triage=said.triage, why=said.why))
        if (moved := reroute(row, read_spec(tx.connection, row))) is not None:
            row = record(tx, row, moved)
        row = _placed(tx, row, said, settings)
    if row.not_before is not None and row.not_before == said.until:
        row = record(tx, row, log.Snoozed(by=said.by, not_before=None))
    return row


def _placed(tx: Transaction, row: JobRow, said: Opinion, settings: TriageSettings) -> JobRow:
    assert said.triage is not None, "only what has a class is placed by it"
    timed = row.not_before is not None and row.not_before != said.until
    follows = placement(settings, said.triage, row.priority, tx.now, timed=timed)
    if follows.priority is not None:
        row = record(tx, row, log.Prioritised(by=said.by, priority=follows.priority))
    if follows.not_before is not None:
        row = record(tx, row, log.Snoozed(by=said.by, not_before=follows.not_before))
    if follows.ask and row.held_by is None:
        prompt = read_spec(tx.connection, row).prompt
        row = clarify.ask_first(tx, row, f"it does not say enough to be begun: {said.why}", prompt)
    return row
