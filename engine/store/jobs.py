"""What can be done to jobs and attempts, as operations of the one writer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from engine import events as log
from engine.agents.base import Outcome
from engine.errors import NotFoundError, RefusedError
from engine.model import DiffStat, Failure, JobSpec
from engine.store.fold import apply, record
from engine.store.rows import (
    SELECT_ATTEMPT,
    SELECT_JOB,
    AttemptRow,
    JobRow,
    attempt_row,
    job_row,
    read_job,
    save_job,
)
from engine.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job spec with every default filled in and every reference resolved."""

    spec: JobSpec
    title: str
    agent: str
    model: str | None
    project: str | None
    not_before: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job given to an attempt, with what the runner needs to know of it."""

    job: JobRow
    spec: JobSpec
    attempt: AttemptRow
    previous: AttemptRow | None


@dataclass(frozen=True, slots=True)
class Launched:
    """Where and as what an attempt runs."""

    pid: int
    session: str | None
    workspace: str
    branch: str | None
    base: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of an attempt. `requeue_at` is set where the job goes back into the queue: the time, or 0 for now."""

    outcome: Outcome
    exit_code: int | None
    diff: DiffStat | None = None
    agent_version: str | None = None
    requeue_at: int | None = None


def submit(tx: Transaction, jobs: Sequence[Accepted]) -> list[int]:
    """Accept all of them or, if anything raises, none. Returns their ids in the given order."""
    newest = tx.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    first = (newest[0] if newest else 0) + 1
    for job, accepted in enumerate(jobs, first):
        body = log.Submitted(
            spec=accepted.spec,
            title=accepted.title,
            agent=accepted.agent,
            model=accepted.model,
            project=accepted.project,
            not_before=accepted.not_before,
        )
        save_job(tx.connection, None, apply(None, tx.log(body, job=job)))
    return list(range(first, first + len(jobs)))


_STARTABLE = (
    f"{SELECT_JOB} WHERE state = 'ready' AND held_by IS NULL AND not_before IS NULL AND agent = ? "
    "ORDER BY priority, id LIMIT ?"
)


def startable(tx: Transaction, agent: str, limit: int) -> list[JobRow]:
    """The first jobs in the queue of an agent, best first."""
    return [job_row(values) for values in tx.connection.execute(_STARTABLE, (agent, limit))]


def claim(
    tx: Transaction,
    heads: Mapping[str, int],
    choose: Callable[[list[JobRow]], list[JobRow]],
    resumable: frozenset[str],
    engine: str,
) -> list[Claim]:
    """Give the jobs that `choose` takes from the heads of the queues to new attempts.

    `heads` says how many jobs of each agent's queue to look at, `engine` is the boot of this engine process. The
    attempt is counted here, before anything is started, so that a job that takes the engine down with it cannot do
    so for ever.
    """
    candidates = [row for agent, limit in heads.items() for row in startable(tx, agent, limit)]
    candidates.sort(key=lambda row: (row.priority, row.id))
    return [_claim_one(tx, row, resumable, engine) for row in choose(candidates)]


def _claim_one(tx: Transaction, row: JobRow, resumable: frozenset[str], engine: str) -> Claim:
    previous = newest_launched(tx, row)
    resumes = None
    if previous and previous.session and not row.fresh and row.agent in resumable and previous.agent == row.agent:
        resumes = previous.session
    attempt = AttemptRow(
        id=0,
        job=row.id,
        number=row.attempts + 1,
        agent=row.agent,
        model=row.model,
        marker=str(uuid.uuid4()),
        engine=engine,
        created_at=tx.now,
        resumes=resumes,
    )
    cursor = tx.connection.execute(
        "INSERT INTO attempts (job, number, agent, model, marker, engine, created_at, resumes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, attempt.number, row.agent, row.model, attempt.marker, engine, tx.now, resumes),
    )
    attempt = msgspec.structs.replace(attempt, id=cursor.lastrowid or 0)
    after = record(tx, row, log.Claimed(number=attempt.number, resumes=resumes), attempt.id)
    return Claim(after, read_spec(tx, row), attempt, previous)


_LAUNCHED = f"{SELECT_ATTEMPT} WHERE job = ? AND workspace IS NOT NULL ORDER BY number DESC LIMIT 1"


def newest_launched(tx: Transaction, row: JobRow) -> AttemptRow | None:
    """The newest attempt that ran: what it left in its workspace and its session is what a retry goes on from."""
    values = tx.connection.execute(_LAUNCHED, (row.id,)).fetchone()
    return attempt_row(values) if values else None


def read_spec(tx: Transaction, row: JobRow) -> JobSpec:
    body = tx.connection.execute("SELECT body FROM events WHERE seq = ?", (row.spec_seq,)).fetchone()[0]
    return msgspec.json.decode(body, type=log.Submitted).spec


def launched(tx: Transaction, attempt: int, facts: Launched) -> None:
    """The attempt's process runs."""
    row, tried = _fenced(tx, attempt)
    tx.connection.execute(
        "UPDATE attempts SET started_at = ?, pid = ?, session = ?, workspace = ?, branch = ?, base = ? WHERE id = ?",
        (tx.now, facts.pid, facts.session, facts.workspace, facts.branch, facts.base, attempt),
    )
    if facts.session:
        keep_session(tx, tried.agent, facts.session, facts.workspace, None)
    record(tx, row, log.Launched(pid=facts.pid, workspace=facts.workspace, session=facts.session), attempt)


def adopted(tx: Transaction, attempt: int, pid: int, engine: str) -> None:
    """A new engine follows the attempt of an earlier one."""
    row, _ = _fenced(tx, attempt)
    tx.connection.execute("UPDATE attempts SET engine = ?, pid = ? WHERE id = ?", (engine, pid, attempt))
    record(tx, row, log.Adopted(pid=pid), attempt)


def settle(tx: Transaction, attempt: int, end: Settlement) -> JobRow:
    """Write the end of an attempt and move its job.

    Raises `RefusedError` for a late writer: an attempt that has ended already or is not its job's newest.
    """
    row, tried = _fenced(tx, attempt)
    outcome = end.outcome
    diff = end.diff
    verdict = _verdict(row, end)
    cancelled = isinstance(verdict, log.Cancelled)
    tx.connection.execute(
        "UPDATE attempts SET ended_at = ?, exit_code = ?, succeeded = ?, failure = ?, reason = ?, result = ?, "
        "session = coalesce(?, session), diff_files = ?, diff_added = ?, diff_removed = ?, unknown_lines = ? "
        "WHERE id = ?",
        (
            tx.now,
            end.exit_code,
            outcome.succeeded,
            None if cancelled else outcome.failure,
            f"cancelled by {row.stopping}" if cancelled else outcome.reason,
            outcome.result,
            outcome.session,
            diff.files if diff else None,
            diff.added if diff else None,
            diff.removed if diff else None,
            outcome.unknown_lines,
            attempt,
        ),
    )
    _keep_usage(tx, attempt, outcome)
    if outcome.session and tried.workspace:
        keep_session(tx, tried.agent, outcome.session, tried.workspace, end.agent_version)
    return record(tx, row, verdict, attempt)


def _verdict(row: JobRow, end: Settlement) -> log.AnyBody:
    outcome = end.outcome
    if outcome.succeeded:
        reason = "it finished before the cancel reached it" if row.stopping else outcome.reason
        return log.Succeeded(result=outcome.result, reason=reason, exit_code=end.exit_code, usage=outcome.usage)
    if row.stopping is not None:
        return log.Cancelled(by=row.stopping, exit_code=end.exit_code, usage=outcome.usage)
    failure, reason = outcome.failure or Failure.UNKNOWN, outcome.reason or "no reason is known"
    if end.requeue_at is not None:
        return log.Requeued(failure=failure, reason=reason, not_before=end.requeue_at or None, usage=outcome.usage)
    return log.Failed(failure=failure, reason=reason, exit_code=end.exit_code, usage=outcome.usage)


def _fenced(tx: Transaction, attempt: int) -> tuple[JobRow, AttemptRow]:
    """The attempt and its job, raising `RefusedError` for a late writer."""
    row, tried = _of_attempt(tx, attempt)
    if tried.ended_at is not None or row.attempt != attempt:
        raise RefusedError(f"attempt {attempt} of job {row.id} has been settled already")
    return row, tried


def _of_attempt(tx: Transaction, attempt: int) -> tuple[JobRow, AttemptRow]:
    values = tx.connection.execute(f"{SELECT_ATTEMPT} WHERE id = ?", (attempt,)).fetchone()
    if values is None:
        raise NotFoundError(f"there is no attempt {attempt}")
    tried = attempt_row(values)
    row = read_job(tx.connection, tried.job)
    assert row is not None, "an attempt's job is never deleted before it"
    return row, tried


def _keep_usage(tx: Transaction, attempt: int, outcome: Outcome) -> None:
    for usage in outcome.usage:
        tx.connection.execute(
            "INSERT INTO usage (attempt, model, at, input_tokens, output_tokens, cache_read_tokens, "
            "cache_write_tokens, cost_micros, grade) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (attempt, usage.model, tx.now, usage.input_tokens, usage.output_tokens, usage.cache_read_tokens,
             usage.cache_write_tokens, usage.cost_micros, usage.grade),
        )  # fmt: skip


def keep_session(tx: Transaction, agent: str, session: str, workspace: str, version: str | None) -> None:
    tx.connection.execute(
        "INSERT INTO sessions (id, agent, workspace, agent_version, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (agent, id) DO UPDATE SET used_at = excluded.used_at, "
        "agent_version = coalesce(excluded.agent_version, agent_version)",
        (session, agent, workspace, version, tx.now, tx.now),
    )


def see_limit(tx: Transaction, reading: log.LimitSeen, source: str) -> None:
    """Keep a reading of a rate-limit window; log it where it says something new."""
    before = tx.connection.execute(
        "SELECT status, used, resets_at FROM limits WHERE agent = ? AND window = ?", (reading.agent, reading.window)
    ).fetchone()
    tx.connection.execute(
        "INSERT INTO limits (agent, window, status, used, resets_at, source, observed_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (agent, window) DO UPDATE SET status = excluded.status, used = excluded.used, "
        "resets_at = excluded.resets_at, source = excluded.source, observed_at = excluded.observed_at",
        (reading.agent, reading.window, reading.status, reading.used, reading.resets_at, source, tx.now),
    )
    if before != (reading.status, reading.used, reading.resets_at):
        tx.log(reading)


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


def running_by_agent(tx: Transaction) -> dict[str, int]:
    """Attempts that hold a slot, counted from the rows: a counter beside them could leak."""
    found = tx.connection.execute("SELECT agent, count(*) FROM attempts WHERE ended_at IS NULL GROUP BY agent")
    return {str(agent): int(n) for agent, n in found}


def held_all(tx: Transaction) -> str | None:
    found = tx.connection.execute("SELECT by FROM holds WHERE scope = 'all'").fetchone()
    return str(found[0]) if found else None


def live_attempts(tx: Transaction) -> list[Claim]:
    """Attempts without an end: what an engine finds when it starts."""
    found = tx.connection.execute(f"{SELECT_ATTEMPT} WHERE ended_at IS NULL ORDER BY id").fetchall()
    claims = []
    for values in found:
        row, tried = _of_attempt(tx, attempt_row(values).id)
        claims.append(Claim(row, read_spec(tx, row), tried, None))
    return claims


def note_action(tx: Transaction, verb: str, by: str, before: Sequence[JobRow], everything: bool) -> None:
    """Record what the operator did with how each job stood, so that it can be taken back."""
    stood = [{"id": row.id, "state": row.state, "held_by": row.held_by, "not_before": row.not_before} for row in before]
    tx.connection.execute(
        "INSERT INTO actions (at, verb, by, jobs, inverse) VALUES (?, ?, ?, ?, ?)",
        (
            tx.now,
            verb,
            by,
            json.dumps("all" if everything else [row.id for row in before]),
            json.dumps(stood),
        ),
    )
