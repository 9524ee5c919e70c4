"""Which jobs wait for which, and what follows when one of them ends. Operations of the one writer.

Each dependency keeps how its job ended, so that one end costs the same however many others a job still waits for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine import events as log
from engine.decision import Choice
from engine.model import UNFINISHED, Failure, OnFailure, State
from engine.store import budgets, cards, clarify
from engine.store.fold import record
from engine.store.rows import JobRow, holder_of, read_job, read_spec
from engine.store.writer import Transaction

ENGINE = "headway"  #: who acts when nobody did
TOLD = 20  #: of the jobs that one waits for, so many are named in the log

_ADD = "INSERT INTO dependencies (job, needs, any_of, outcome) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
# The planner would go through all of a job's dependencies by their key, ended ones included.
_OPEN = (
    "SELECT 1 FROM dependencies INDEXED BY dependencies_open WHERE job = ? AND any_of = 0 AND outcome IS NULL LIMIT 1"
)
_UNENDED = "SELECT 1 FROM dependencies INDEXED BY dependencies_open WHERE job = ? AND outcome IS NULL LIMIT 1"
_FAILED = (
    "SELECT needs FROM dependencies INDEXED BY dependencies_failed "
    "WHERE job = ? AND any_of = ? AND outcome IN ('failed', 'cancelled') ORDER BY needs LIMIT 1"
)
_ANY = (
    "SELECT count(*), total(outcome IN ('succeeded', 'overruled')), total(outcome IS NULL), max(needs) "
    "FROM dependencies WHERE job = ? AND any_of = 1"
)
# What was pruned is known by its outcome alone.
_REFRESH = (
    "UPDATE dependencies SET outcome = (SELECT iif(ended_at IS NULL, NULL, iif(outcome = 'overruled', outcome, state)) "
    "FROM jobs WHERE jobs.id = needs) WHERE job = ? AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = needs)"
)
_OVERRULE = (
    "UPDATE dependencies SET outcome = 'overruled' WHERE job = ? AND outcome IN ('failed', 'cancelled') RETURNING needs"
)
_HEED = (
    "UPDATE dependencies SET outcome = coalesce((SELECT state FROM jobs WHERE jobs.id = needs), 'cancelled') "
    "WHERE job = ? AND needs = ? AND outcome = 'overruled'"
)
_NEEDED = "SELECT DISTINCT needs FROM dependencies WHERE needs IN (SELECT value FROM json_each(?))"
_WAITING = (
    "SELECT job FROM dependencies WHERE needs = ? "
    "AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = dependencies.job AND state = 'blocked')"
)


def add(tx: Transaction, job: JobRow, all_of: Iterable[int], any_of: Iterable[int]) -> JobRow:
    """Let a ready job wait for others. It stays ready where they have all ended well already."""
    needs = {**dict.fromkeys(any_of, True), **dict.fromkeys(all_of, False)}
    if not needs:
        return job
    for other, enough in needs.items():
        row = read_job(tx.connection, other)
        assert row is not None, "who submits has looked whether they exist"
        tx.connection.execute(_ADD, (job.id, other, enough, _outcome(row)))
    return wait_again(tx, job)


def wait_again(tx: Transaction, job: JobRow) -> JobRow:
    """Block a ready job until what it needs is there."""
    needs = [row[0] for row in tx.connection.execute("SELECT needs FROM dependencies WHERE job = ?", (job.id,))]
    blocked = record(tx, job, log.Blocked(on=tuple(needs[:TOLD]), count=len(needs)))
    judged = judge(tx, blocked)
    if judged.ended_at is not None:
        after_end(tx, [judged])
    return judged


def overrule(tx: Transaction, job: JobRow) -> list[int]:
    """The operator puts a job back: what failed before it is not asked about again. Returns what that was."""
    tx.connection.execute(_REFRESH, (job.id,))
    return [int(needs) for (needs,) in tx.connection.execute(_OVERRULE, (job.id,)).fetchall()]


def waits(tx: Transaction, job: JobRow) -> bool:
    """Whether a job comes after one that has not ended."""
    return tx.connection.execute(_UNENDED, (job.id,)).fetchone() is not None


def after_end(tx: Transaction, ended: Iterable[JobRow]) -> list[JobRow]:
    """Tell those that wait for jobs which have ended. Returns, as they stood, those that are skipped, fail or are set
    free because of it.
    """
    rows = {row.id: row for row in ended}
    for row in rows.values():
        if row.waiting_on is not None:
            budgets.close_own(tx, row)
    needed = tx.connection.execute(_NEEDED, (msgspec.json.encode([*rows]).decode(),)).fetchall() if rows else []
    waiting = deque(rows[job] for (job,) in needed)
    followed = []
    while waiting:
        row = waiting.popleft()
        tx.connection.execute("UPDATE dependencies SET outcome = ? WHERE needs = ?", (row.state, row.id))
        for (job,) in tx.connection.execute(_WAITING, (row.id,)).fetchall():
            dependent = read_job(tx.connection, job)
            assert dependent is not None, "the statement has just found it"
            after = judge(tx, dependent)
            if after.state is not dependent.state:
                followed.append(dependent)
            if after.ended_at is not None:
                waiting.append(after)
    return followed


def judge(tx: Transaction, job: JobRow) -> JobRow:
    """Release, skip or leave a blocked job, by how those that it waits for have ended."""
    cause = _doom(tx, job)
    if cause is not None:
        policy = read_spec(tx.connection, job).on_failure or OnFailure.SKIP
        if policy is not OnFailure.RUN:
            return _give_up(tx, job, cause, policy)
    if tx.connection.execute(_OPEN, (job.id,)).fetchone():
        return job
    group, well, unended, _ = tx.connection.execute(_ANY, (job.id,)).fetchone()
    return job if group and unended and not well else record(tx, job, log.Unblocked())


def _doom(tx: Transaction, job: JobRow) -> int | None:
    """A job because of which another cannot have what it comes after: one of all, or the newest where none will do."""
    if failed := tx.connection.execute(_FAILED, (job.id, False)).fetchone():
        return int(failed[0])
    if not tx.connection.execute(_FAILED, (job.id, True)).fetchone():
        return None
    group, well, unended, newest = tx.connection.execute(_ANY, (job.id,)).fetchone()
    return int(newest) if group and not well and not unended else None


def _give_up(tx: Transaction, job: JobRow, cause: int, policy: OnFailure) -> JobRow:
    job = clarify.over(tx, job, Choice.WITHDRAWN, ENGINE)
    other = read_job(tx.connection, cause)
    why = f"J{cause}, which it comes after, {_ended(other)}"
    if policy is OnFailure.SKIP:
        return record(tx, job, log.Cancelled(by=ENGINE, reason=f"skipped: {why}", cause=cause))
    return record(tx, job, log.Failed(failure=Failure.DEPENDENCY_FAILED, reason=why, cause=cause))


def _ended(row: JobRow | None) -> str:
    if row is None:
        return "is gone"
    return "was cancelled" if row.state is State.CANCELLED else str(row.state)


def reopen(tx: Transaction, job: JobRow) -> list[JobRow]:
    """A job was put back: what was skipped, or failed, because of jobs that have not ended any more waits again.

    Returns how they stood. What still cannot have what it comes after, is late, or whose key another one has by now,
    is left.
    """
    waiting, reopened = deque([job.id]), []
    while waiting:
        needs = waiting.popleft()
        for (dependent,) in tx.connection.execute("SELECT job FROM dependencies WHERE needs = ?", (needs,)).fetchall():
            row = read_job(tx.connection, dependent)
            if row is None or not (row.state is State.BLOCKED or (row.ended_at is not None and row.cause is not None)):
                continue
            tx.connection.execute(_REFRESH, (dependent,))
            if row.state is State.BLOCKED or _doom(tx, row) is not None or not _may_return(tx, row):
                continue
            reopened.append(row)
            wait_again(tx, cards.let_go(tx, record(tx, row, log.Retried(by=ENGINE))))
            waiting.append(dependent)
    return reopened


def _may_return(tx: Transaction, row: JobRow) -> bool:
    late = row.deadline is not None and row.deadline <= tx.now
    return not late and (row.unique_key is None or holder_of(tx, row.unique_key) is None)


def restored(tx: Transaction, rows: Sequence[JobRow], overruled: Mapping[int, Iterable[int]]) -> None:
    """Jobs stand as they did before: bring what they need, and what needs them, up to that.

    `overruled`: what was not asked about any more because of that which is taken back.
    """
    for row in rows:
        tx.connection.executemany(_HEED, [(row.id, needs) for needs in overruled.get(row.id, ())])
        tx.connection.execute(_REFRESH, (row.id,))
        if row.ended_at is None:
            tx.connection.execute("UPDATE dependencies SET outcome = NULL WHERE needs = ?", (row.id,))
    after_end(tx, [row for row in rows if row.ended_at is not None])
    for row in rows:
        now = read_job(tx.connection, row.id)
        if now is not None and now.state is State.BLOCKED:
            judged = judge(tx, now)
            if judged.ended_at is not None:
                after_end(tx, [judged])


def _outcome(row: JobRow) -> State | None:
    return None if row.state in UNFINISHED else row.state
