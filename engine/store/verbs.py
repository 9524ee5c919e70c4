"""The operator's verbs on jobs, as operations of the one writer. Each records an action with how things stood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine import events as log
from engine.errors import NotFoundError, UsageError
from engine.model import ActionResult, State, Verb
from engine.store.fold import record
from engine.store.jobs import note_action
from engine.store.rows import JobRow, read_job
from engine.store.writer import RollbackError, Transaction


@dataclass(frozen=True, slots=True)
class Request:
    """A verb, its jobs, and who asked."""

    verb: Verb
    jobs: Sequence[int]
    by: str
    everything: bool = False
    fresh: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class _Tally:
    done: list[int] = field(default_factory=list)
    stopping: list[int] = field(default_factory=list)
    skipped: dict[str, list[int]] = field(default_factory=dict)
    before: list[JobRow] = field(default_factory=list)

    def skip(self, row: JobRow, why: str) -> None:
        self.skipped.setdefault(why, []).append(row.id)


def act(tx: Transaction, request: Request) -> ActionResult:
    """Do it, all in one transaction. A dry run does the same and rolls it back: what it says cannot drift.

    Raises `NotFoundError` where a job does not exist; then nothing is done to any of them.
    """
    if request.everything:
        result = _act_on_everything(tx, request)
    else:
        if not request.jobs:
            raise UsageError(f"{request.verb} needs one or more job ids")
        result = _act_on_jobs(tx, request)
    if request.dry_run:
        raise RollbackError(result)
    return result


def _act_on_everything(tx: Transaction, request: Request) -> ActionResult:
    if request.verb is Verb.HOLD:
        tx.connection.execute(
            "INSERT INTO holds (scope, by, at) VALUES ('all', ?, ?) ON CONFLICT (scope) DO NOTHING",
            (request.by, tx.now),
        )
        tx.log(log.Held(by=request.by))
    elif request.verb is Verb.RELEASE:
        tx.connection.execute("DELETE FROM holds WHERE scope = 'all'")
        tx.log(log.Released(by=request.by))
    else:
        raise UsageError(f"{request.verb} takes job ids; only hold and release work on everything at once")
    note_action(tx, request.verb, request.by, (), everything=True)
    return ActionResult(verb=request.verb, done=[], dry_run=request.dry_run)


def _act_on_jobs(tx: Transaction, request: Request) -> ActionResult:
    rows = _rows(tx, request.jobs)
    tally = _Tally()
    one = _VERBS[request.verb]
    for row in rows:
        one(tx, row, request, tally)
    if tally.before:
        note_action(tx, request.verb, request.by, tally.before, everything=False)
    return ActionResult(
        verb=request.verb,
        done=tally.done,
        stopping=tally.stopping,
        skipped=tally.skipped,
        dry_run=request.dry_run,
    )


def _rows(tx: Transaction, jobs: Sequence[int]) -> list[JobRow]:
    found = {job: read_job(tx.connection, job) for job in dict.fromkeys(jobs)}
    missing = [str(job) for job, row in found.items() if row is None]
    if missing:
        names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        raise NotFoundError(f"no such job: {names}; `headway jobs` lists them")
    return [row for row in found.values() if row is not None]


def _move(tx: Transaction, row: JobRow, tally: _Tally, body: log.AnyBody) -> None:
    record(tx, row, body, row.attempt if row.state is State.RUNNING else None)
    tally.before.append(row)
    tally.done.append(row.id)


def _hold(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.ended_at is not None:
        tally.skip(row, f"already {row.state}")
    elif row.held_by is not None:
        tally.skip(row, "already held")
    else:
        _move(tx, row, tally, log.Held(by=request.by))


def _release(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.held_by is None:
        tally.skip(row, "not held")
    else:
        _move(tx, row, tally, log.Released(by=request.by))


def _cancel(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.ended_at is not None:
        tally.skip(row, f"already {row.state}")
    elif row.state is not State.RUNNING:
        _move(tx, row, tally, log.Cancelled(by=request.by))
    else:
        # Asking twice is no mistake: the second request finds the same processes.
        if row.stopping is None:
            record(tx, row, log.Stopping(by=request.by), row.attempt)
            tally.before.append(row)
        tally.stopping.append(row.id)


def _retry(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.ended_at is None:
        tally.skip(row, f"still {row.state}")
    else:
        _move(tx, row, tally, log.Retried(by=request.by, fresh=request.fresh))


_VERBS: dict[Verb, Callable[[Transaction, JobRow, Request, _Tally], None]] = {
    Verb.HOLD: _hold,
    Verb.RELEASE: _release,
    Verb.CANCEL: _cancel,
    Verb.RETRY: _retry,
}
