"""What happens to attempts, and to jobs by the clock, as operations of the one writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine import events as log
from engine.agents.base import Outcome
from engine.briefing import Part
from engine.decision import Choice
from engine.errors import NotFoundError, RefusedError
from engine.model import DiffStat, Failure, Usage
from engine.money import Entry
from engine.spend.budgets import Means
from engine.store import attachments, budgets, cards, clarify, dependencies, ledger, sessions, workers
from engine.store.fold import record, record_all
from engine.store.rows import SELECT_JOB, AttemptRow, JobRow, job_row, read_attempts, read_jobs
from engine.store.sessions import Begun, Heard
from engine.store.writer import Transaction

UNBOUNDED = Means()


@dataclass(frozen=True, slots=True)
class Launched:
    """Where and as what an attempt runs."""

    pid: int
    session: str | None
    workspace: str
    branch: str | None
    base: str | None
    begun: Begun | None = None
    """How it came to that session, where it did not simply begin it."""
    note: str | None = None
    """What to know of the session that it goes on in."""
    tokens: int = 0
    """Of the hand-off, where it begins a new session with one."""
    told: Mapping[Part, int] = field(default_factory=dict)
    """Tokens of all that it is told beside its task, by part."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """How a job goes back into the queue. `at`, milliseconds UTC: not before; None for at once."""

    at: int | None = None
    counted: bool = True
    """The attempt uses up one of the job's."""
    fresh: bool = False
    anew: bool = False
    hold: bool = False
    """The operator has to look at it first."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of an attempt. `requeue` is set where the job goes back into the queue."""

    outcome: Outcome
    exit_code: int | None
    diff: DiffStat | None = None
    heard: Heard = field(default_factory=Heard)
    requeue: Requeue | None = None
    memory_peak: int | None = None
    cpu_ms: int | None = None
    processes_peak: int | None = None
    spent: tuple[Entry, ...] | None = None
    """What it used, message by message; None where no more is known than the ledger and the outcome say."""
    means: Means = UNBOUNDED
    """What it may spend of."""
    gate: str | None = None
    """What has to hold before its job is done."""


def launched(tx: Transaction, attempt: int, facts: Launched) -> None:
    """The attempt's process runs. One that was to go on with a session and could not has begun another."""
    row, tried = fenced(tx, attempt)
    begun = facts.begun or Begun(facts.session, tried.resumes if tried.resumes == facts.session else None)
    handoff = begun.why if begun.why and begun.handed else None
    tx.connection.execute(
        "UPDATE attempts SET started_at = ?, pid = ?, session = ?, resumes = ?, forked = ?, workspace = ?, branch = ?, "
        "base = ?, handoff = ?, note = ? WHERE id = ?",
        (tx.now, facts.pid, facts.session, begun.resumes, begun.forked, facts.workspace, facts.branch, facts.base,
         handoff, facts.note, attempt),
    )  # fmt: skip
    sessions.begin(tx, tried, begun, facts.workspace)
    if row.worker is not None:
        workers.launched(
            tx,
            row.worker,
            attempt,
            agent=tried.agent,
            account=tried.account,
            session=facts.session,
            workspace=facts.workspace,
            branch=facts.branch,
        )
    row = record(
        tx,
        row,
        log.Launched(facts.pid, facts.workspace, facts.session, begun.resumes, begun.forked, facts.note),
        attempt,
    )
    if facts.told:
        row = record(tx, row, log.ContextTold(dict(facts.told)), attempt)
    if handoff is not None:
        record(tx, row, log.HandedOff(handoff, begun.retires, facts.tokens), attempt)


def heard(tx: Transaction, attempt: int, what: Heard) -> None:
    """A running attempt has told something of its session. Raises `RefusedError` for one that has been settled."""
    row, tried = fenced(tx, attempt)
    for one in sessions.hear(tx, tried, what):
        row = record(tx, row, one, attempt)


def adopted(tx: Transaction, attempt: int, pid: int, engine: str) -> None:
    """A new engine follows the attempt of an earlier one."""
    row, _ = fenced(tx, attempt)
    tx.connection.execute("UPDATE attempts SET engine = ?, pid = ? WHERE id = ?", (engine, pid, attempt))
    record(tx, row, log.Adopted(pid=pid), attempt)


def settle(tx: Transaction, attempt: int, end: Settlement) -> JobRow:
    """Write the end of an attempt and move its job.

    Raises `RefusedError` for a late writer: an attempt that has ended already or is not its job's newest.
    """
    return settle_all(tx, [(*fenced(tx, attempt), end)])[0]


def settle_all(tx: Transaction, ended: Sequence[tuple[JobRow, AttemptRow, Settlement]]) -> list[JobRow]:
    """Write the ends of attempts, as `fenced_all` has just found them, and move their jobs."""
    values: dict[tuple[str, ...], list[list[Any]]] = {}
    happened = []
    for row, tried, end in ended:
        row, usage = _spent(tx, row, tried, end)
        end = replace(end, outcome=replace(end.outcome, usage=usage))
        if row.waiting_on is not None:
            row = cards.withdraw(tx, row, tried.id)
        heard = replace(end.heard, session=end.outcome.session or end.heard.session)
        for one in sessions.end(tx, tried, heard):
            row = record(tx, row, one, tried.id)
        verdict = _verdict(row, end, attachments.holder(tx, row.id))
        columns = _columns(row, end, verdict, tx.now)
        values.setdefault(tuple(columns), []).append([*columns.values(), tried.id])
        happened.append((row, verdict, tried.id))
    for names, rows in values.items():
        tx.connection.executemany(f"UPDATE attempts SET {', '.join(f'{one} = ?' for one in names)} WHERE id = ?", rows)
    workers.settled(tx, [tried.id for row, tried, _ in ended if row.worker is not None])
    return record_all(tx, happened)


def _columns(row: JobRow, end: Settlement, verdict: log.AnyBody, now: int) -> dict[str, Any]:
    """What the end of an attempt writes into its row; not what is empty there already."""
    outcome, diff = end.outcome, end.diff
    columns = {
        "ended_at": now,
        "exit_code": end.exit_code,
        "succeeded": outcome.succeeded,
        "failure": None if isinstance(verdict, log.Cancelled | log.Parked) else outcome.failure,
        "reason": _reason(row, verdict, outcome),
        "result": outcome.result,
        "session": outcome.session,
        "diff_files": diff.files if diff else None,
        "diff_added": diff.added if diff else None,
        "diff_removed": diff.removed if diff else None,
        "unknown_lines": outcome.unknown_lines or None,
        "memory_peak": end.memory_peak,
        "cpu_ms": end.cpu_ms,
        "processes_peak": end.processes_peak,
    }
    return {name: value for name, value in columns.items() if value is not None}


def _reason(row: JobRow, verdict: log.AnyBody, outcome: Outcome) -> str | None:
    if isinstance(verdict, log.Cancelled):
        return f"cancelled by {row.stopping}"
    return f"parked for {verdict.by}" if isinstance(verdict, log.Parked) else outcome.reason


def _verdict(row: JobRow, end: Settlement, attached: str | None) -> log.AnyBody:
    """`attached`: who works in the job's session, or waits to."""
    outcome = end.outcome
    if outcome.succeeded and end.gate is not None:
        return log.Gated(gate=end.gate, result=outcome.result, exit_code=end.exit_code, usage=outcome.usage)
    if outcome.succeeded:
        reason = "it finished before the cancel reached it" if row.stopping else outcome.reason
        return log.Succeeded(result=outcome.result, reason=reason, exit_code=end.exit_code, usage=outcome.usage)
    if row.stopping is not None:
        return log.Cancelled(by=row.stopping, exit_code=end.exit_code, usage=outcome.usage)
    if attached is not None:
        return log.Parked(by=attached, exit_code=end.exit_code, usage=outcome.usage)
    failure, reason = outcome.failure or Failure.UNKNOWN, outcome.reason or "no reason is known"
    if (back := end.requeue) is not None:
        return log.Requeued(
            failure=failure,
            reason=reason,
            not_before=back.at,
            usage=outcome.usage,
            counted=back.counted,
            fresh=back.fresh,
            anew=back.anew,
        )
    return log.Failed(failure=failure, reason=reason, exit_code=end.exit_code, usage=outcome.usage)


def fenced(tx: Transaction, attempt: int) -> tuple[JobRow, AttemptRow]:
    """The attempt and its job, raising `RefusedError` for a late writer."""
    return fenced_all(tx, [attempt])[0]


def fenced_all(tx: Transaction, attempts: Sequence[int]) -> list[tuple[JobRow, AttemptRow]]:
    """The same of several attempts, in their order."""
    tried = read_attempts(tx.connection, attempts)
    rows = read_jobs(tx.connection, [one.job for one in tried.values()])
    found = []
    for attempt in attempts:
        if attempt not in tried:
            raise NotFoundError(f"there is no attempt {attempt}")
        one = tried[attempt]
        row = rows[one.job]
        if one.ended_at is not None or row.attempt != attempt:
            raise RefusedError(f"attempt {attempt} of job {row.id} has been settled already")
        found.append((row, one))
    return found


@dataclass(frozen=True, slots=True)
class Paid:
    """What the ledger holds of an attempt, and which of its budgets are used up."""

    usage: tuple[Usage, ...]
    used_up: tuple[str, ...] = ()


def spent(tx: Transaction, attempt: int, entries: Sequence[Entry], means: Means = UNBOUNDED) -> Paid:
    """A running attempt has told what it used. Raises `RefusedError` for one that has been settled."""
    row, tried = fenced(tx, attempt)
    before = budgets.of_attempt(tx, tried.id) if means.bounded else budgets.Sums()
    ledger.note(tx, tried, entries)
    if not means.bounded:
        return Paid(ledger.counted(tx, tried.id))
    row = budgets.charge(tx, row, tried, before, means)
    return Paid(ledger.counted(tx, tried.id), tuple(budgets.used_up(tx, row, tried, means)))


def _spent(tx: Transaction, row: JobRow, tried: AttemptRow, end: Settlement) -> tuple[JobRow, tuple[Usage, ...]]:
    """What an attempt used in all, as the ledger counts it: without what other attempts have told before."""
    entries = ledger.whole(end.outcome.usage) if end.spent is None else end.spent
    if entries:
        before = budgets.of_attempt(tx, tried.id) if end.means.bounded else budgets.Sums()
        ledger.note(tx, tried, entries)
        if end.means.bounded:
            row = budgets.charge(tx, row, tried, before, end.means)
    return row, ledger.counted(tx, tried.id) if entries or end.spent is None else ()


def pass_deadlines(tx: Transaction) -> int | None:
    """Fail the waiting jobs whose deadline is over. Returns the next deadline, or None."""
    late = tx.connection.execute(
        f"{SELECT_JOB} WHERE state IN ('ready', 'blocked') AND deadline <= ? ORDER BY deadline LIMIT 500", (tx.now,)
    ).fetchall()
    body = log.Failed(failure=Failure.TIMEOUT, reason="its deadline passed before it could start")
    rows = [clarify.over(tx, job_row(values), Choice.WITHDRAWN, dependencies.ENGINE) for values in late]
    dependencies.after_end(tx, [record(tx, row, body) for row in rows])
    following = tx.connection.execute(
        "SELECT min(deadline) FROM jobs WHERE deadline IS NOT NULL AND state IN ('ready', 'blocked')"
    ).fetchone()[0]
    return None if following is None else int(following)


def come_due(tx: Transaction) -> int | None:
    """Open the jobs whose time has come. Returns when the next one is due, or None."""
    due = tx.connection.execute(
        f"{SELECT_JOB} WHERE state = 'ready' AND not_before <= ? ORDER BY not_before LIMIT 500",
        (tx.now,),
    ).fetchall()
    for values in due:
        record(tx, job_row(values), log.Due())
    following = tx.connection.execute(
        "SELECT min(not_before) FROM jobs WHERE state = 'ready' AND not_before IS NOT NULL"
    ).fetchone()[0]
    return None if following is None else int(following)


def put_on_hold(tx: Transaction, row: JobRow, by: str) -> JobRow:
    """Keep an unfinished job from starting until it is released."""
    return row if row.held_by is not None else record(tx, row, log.Held(by=by))
