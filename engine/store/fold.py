"""What an event does to a job's row. Pure: the writer and the rebuild from the log both go through here."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import structs
from msgspec.structs import replace

from engine import events as log
from engine.model import Failure, Grade, JobSpec, Usage
from engine.store import workers
from engine.store.rows import JobRow, save_jobs
from engine.store.writer import Transaction
from engine.transitions import next_state

RANK_BITS = 20  #: room between the ranks of two submissions, for jobs that are moved between them


def tagged(spec: JobSpec) -> str:
    """The tags as the database keeps them, so that a filter finds a whole tag: ` a b `, sorted; empty for none."""
    return f" {' '.join(sorted(set(spec.tags)))} " if spec.tags else ""


def apply(row: JobRow | None, event: log.Event) -> JobRow:
    """The row after the event, raising `IllegalTransitionError` where it cannot happen."""
    body = event.body
    state = next_state(row.state if row else None, body)
    if isinstance(body, log.Submitted):
        return JobRow(
            id=event.job or 0,
            state=state,
            title=body.title,
            agent=body.agent,
            model=body.model,
            project=body.project,
            priority=body.spec.priority,
            created_at=event.at,
            not_before=body.not_before,
            spec_seq=event.seq,
            account=body.account,
            kind=body.spec.kind,
            tags=tagged(body.spec),
            unique_key=body.spec.key,
            batch=body.batch,
            route=body.route,
            schedule=body.schedule,
            within=body.within,
            deadline=body.deadline,
            rank=event.seq << RANK_BITS,
            triage=body.triage,
            worker=body.spec.worker,
        )
    assert row is not None, "only a submission begins a job"
    match body:
        case log.Claimed():
            return replace(
                row,
                state=state,
                attempts=body.number,
                attempt=event.attempt,
                started_at=event.at,
                ended_at=None,
                failure=None,
                reason=None,
                tries=row.tries + 1,
            )
        case log.Launched():
            return replace(row, fresh=False, anew=False, fork=False)
        case log.Requeued():
            return replace(
                paid(row, body.usage),
                state=state,
                not_before=body.not_before,
                failure=body.failure,
                reason=body.reason,
                stopping=None,
                fresh=row.fresh or body.fresh,
                anew=row.anew or body.anew,
                tries=row.tries if body.counted else max(0, row.tries - 1),
                waits=0 if body.counted else row.waits + 1,
            )
        case log.Parked():
            return replace(
                paid(row, body.usage),
                state=state,
                failure=None,
                reason=f"parked: {body.by} works in its session",
                stopping=None,
                tries=max(0, row.tries - 1),
            )
        case log.Gated():
            return replace(paid(row, body.usage), state=state, stopping=None)
        case log.GateReviewed():
            return paid(row, body.usage)
        case log.SentBack():
            # The gate bounds its rounds itself: they use up none of the job's attempts.
            return replace(
                row,
                state=state,
                failure=Failure.GATE_REFUSED,
                reason=body.reason,
                fresh=row.fresh or body.fresh,
                tries=max(0, row.tries - 1),
                waits=0,
            )
        case log.Succeeded():
            return replace(paid(row, body.usage), state=state, ended_at=event.at, reason=body.reason, stopping=None)
        case log.Failed():
            return replace(
                paid(row, body.usage),
                state=state,
                ended_at=event.at,
                failure=body.failure,
                reason=body.reason,
                not_before=None,
                stopping=None,
                cause=body.cause,
            )
        case log.Cancelled():
            return replace(
                paid(row, body.usage),
                state=state,
                ended_at=event.at,
                not_before=None,
                stopping=None,
                reason=body.reason if body.reason is not None else row.reason,
                cause=body.cause,
            )
        case log.Retried():
            return replace(
                row,
                state=state,
                ended_at=None,
                not_before=None,
                failure=None,
                reason=None,
                fresh=body.fresh,
                fork=body.fork,
                tries=0,
                waits=0,
                cause=None,
            )
        case log.Blocked() | log.Unblocked():
            return replace(row, state=state)
        case log.Prioritised():
            return replace(row, priority=body.priority)
        case log.Moved():
            return replace(row, rank=body.rank, priority=body.priority)
        case log.Snoozed():
            return replace(row, not_before=body.not_before)
        case log.Edited():
            return replace(row, title=body.title, spec_seq=event.seq)
        case log.Rerouted():
            rerouted = replace(row, agent=body.agent, model=body.model, account=body.account)
            waits = 0 if body.cause is None else row.waits  # what goes from limit to limit is given up on in the end
            return replace(rerouted, not_before=None, waits=waits) if body.at_once else rerouted
        case log.Restored():
            return replace(row, **structs.asdict(body.to))
        case log.Triaged():
            return replace(row, triage=body.triage)
        case log.Routed():
            return replace(row, agent=body.agent, model=body.model, account=body.account, route=body.route)
        case log.Stopping():
            return replace(row, stopping=body.by)
        case log.Asked():
            return replace(row, waiting_on=row.waiting_on or body.card)
        case log.Answered() | log.Reopened():
            return replace(row, waiting_on=body.left)
        case log.Held():
            return replace(row, held_by=body.by)
        case log.Released():
            return replace(row, held_by=None)
        case log.Attached() | log.Detached():
            return replace(row, held_by=body.hold)
        case log.Due():
            return replace(row, not_before=None)
        case _:
            return row


def paid(row: JobRow, usage: tuple[Usage, ...]) -> JobRow:
    """The row with what one more attempt has used."""
    if not usage:
        return row
    cost, grade = log.total_cost(usage)
    if row.cost_micros is not None or row.input_tokens or row.output_tokens:
        order = list(Grade)
        grade = max(grade, row.cost_grade, key=order.index)
        cost = None if cost is None and row.cost_micros is None else (cost or 0) + (row.cost_micros or 0)
    told = sum(u.input_tokens + u.cache_read_tokens + u.cache_write_tokens for u in usage)
    return replace(
        row,
        input_tokens=row.input_tokens + told,
        output_tokens=row.output_tokens + sum(u.output_tokens for u in usage),
        cost_micros=cost,
        cost_grade=grade,
    )


def record(tx: Transaction, row: JobRow, body: log.AnyBody, attempt: int | None = None) -> JobRow:
    """Log an event of a job and bring its row up to it."""
    return record_all(tx, [(row, body, attempt)])[0]


def record_all(tx: Transaction, happened: Sequence[tuple[JobRow, log.AnyBody, int | None]]) -> list[JobRow]:
    """Log an event of each of several jobs, none of them twice, and bring their rows up to it."""
    events = tx.log_all([(body, row.id, attempt) for row, body, attempt in happened])
    after = [apply(row, event) for (row, _, _), event in zip(happened, events, strict=True)]
    save_jobs(tx, zip((row for row, _, _ in happened), after, strict=True))
    scores = [(now.id,) for (row, body, _), now in zip(happened, after, strict=True) if _scores(row, body, now)]
    if free := [(now.worker, now.id) for now in after if now.worker is not None and now.ended_at is not None]:
        workers.free(tx, free)
    if scores:
        tx.connection.executemany("INSERT OR IGNORE INTO scores_due (job) VALUES (?)", scores)
    return after


def _scores(row: JobRow, body: log.AnyBody, now: JobRow) -> bool:
    """Whether a job says something else on the scoreboard from now on."""
    if not now.attempts:
        return False
    return row.ended_at != now.ended_at or (now.ended_at is not None and isinstance(body, _FOLLOWS))


_FOLLOWS = log.Edited | log.Rerouted | log.Attached


def rebuild(connection: sqlite3.Connection) -> dict[int, JobRow]:
    """The table of jobs as the log tells it."""
    rows: dict[int, JobRow] = {}
    decode = msgspec.json.Decoder(log.AnyBody).decode
    for seq, at, job, attempt, body in connection.execute(
        "SELECT seq, at, job, attempt, body FROM events WHERE job IS NOT NULL ORDER BY seq"
    ):
        event = log.Event(seq=seq, at=at, job=job, attempt=attempt, body=decode(body))
        rows[job] = apply(rows.get(job), event)
    return rows
