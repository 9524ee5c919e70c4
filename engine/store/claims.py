"""Giving jobs to attempts: what heads each lane, and the claim itself. Operations of the one writer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from engine import events as log
from engine.model import Breaker, JobSpec, Target
from engine.sessions import Session
from engine.store import attachments, lanes, sessions, workers
from engine.store.fold import record_all
from engine.store.insert import insert
from engine.store.lanes import Lane
from engine.store.rows import (
    JOB_COLUMNS,
    SELECT_ATTEMPT,
    SELECT_JOB,
    AttemptRow,
    JobRow,
    attempt_row,
    job_row,
    lane_of,
    read_attempts,
    read_job,
    read_spec,
    read_specs,
)
from engine.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class Claim:
    """A job given to an attempt, with what the runner needs to know of it."""

    job: JobRow
    spec: JobSpec
    attempt: AttemptRow
    previous: AttemptRow | None
    anew: bool = False
    """Its workspace is to be set back to what it began from."""
    fresh: bool = False
    """It begins a new conversation in a workspace in which an earlier attempt may have worked."""
    session: Session | None = None
    """The conversation that it is to go on in; with `fork`, in a fork of it."""
    fork: bool = False
    why: str = ""
    """Why it is to begin a new one, where there is one that it could go on in."""
    parking: bool = False
    """The operator has asked for its session while it ran."""
    desk: Desk | None = None
    """The worker that it is done in."""
    shares: AttemptRow | None = None
    """The newest attempt of the job in whose worktree it works."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A persistent worker, with what the job before left in it."""

    name: str
    branch: str | None = None
    last: AttemptRow | None = None
    """The last attempt of the job before, as far as that is still known."""
    task: str = ""
    """Of that job."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first job of a lane that can start."""

    number: int
    lane: Lane
    job: JobRow


_STARTABLE = (
    "state = 'ready' AND held_by IS NULL AND not_before IS NULL AND (jobs.worker IS NULL OR NOT EXISTS "
    "(SELECT 1 FROM workers AS w WHERE w.name = jobs.worker AND w.job IS NOT NULL AND w.job <> jobs.id))"
)
_HEADS = (
    f"SELECT lanes.id, {', '.join(f'jobs.{name}' for name in JOB_COLUMNS)} FROM lanes LEFT JOIN jobs ON jobs.id = "
    f"(SELECT id FROM jobs WHERE lane = lanes.id AND {_STARTABLE} ORDER BY rank, id LIMIT 1) WHERE lanes.open = 1"
)
_FURTHER = f"{SELECT_JOB} WHERE lane = ? AND {_STARTABLE} AND (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?"
_FREE = (
    f"{SELECT_JOB} WHERE lane = ? AND {_STARTABLE} "
    "AND (route IS NULL OR route NOT IN (SELECT value FROM json_each(?))) ORDER BY rank, id LIMIT 1"
)
# From project to project along the index: there can be a lane for each job that there has ever been.
_SERVED = (
    "WITH RECURSIVE one (project) AS (SELECT min(project) FROM lanes UNION ALL "
    "SELECT (SELECT min(project) FROM lanes WHERE project > one.project) FROM one WHERE one.project IS NOT NULL) "
    "SELECT project, (SELECT max(served_at) FROM lanes WHERE lanes.project IS one.project) FROM one"
)
_RUNNING = (
    f"SELECT n, {', '.join(f'lanes.{name}' for name in lanes.COLUMNS.split(', '))} FROM "
    "(SELECT lane, count(*) AS n FROM attempts WHERE ended_at IS NULL GROUP BY lane) AS live "
    "JOIN lanes ON lanes.id = live.lane"
)
_PREVIOUS = f"{SELECT_ATTEMPT} WHERE job = ? AND workspace IS NOT NULL ORDER BY number DESC LIMIT 1"
_GIVEN = (
    "id", "job", "number", "agent", "model", "account", "lane", "marker", "engine", "created_at", "resumes", "forked",
)  # fmt: skip


def heads(tx: Transaction, barred: Collection[str] = ()) -> list[Head]:
    """The first startable job of each open lane. A lane without one is closed.

    `barred`: routes whose jobs may not start now, which those behind them may.
    """
    found, empty = [], []
    for number, *values in tx.connection.execute(_HEADS).fetchall():
        if values[0] is None:
            empty.append((number,))
        else:
            row = job_row(values)
            if row.route in barred:
                free = tx.connection.execute(_FREE, (number, msgspec.json.encode(list(barred)).decode())).fetchone()
                if free is None:
                    continue
                row = job_row(free)
            found.append(Head(number, lane_of(row), row))
    if empty:
        tx.lanes.clear()
        tx.connection.executemany("UPDATE lanes SET open = 0 WHERE id = ?", empty)
    return found


def line(tx: Transaction, head: Head, page: int, barred: Collection[str] = ()) -> Iterator[JobRow]:
    """The jobs of a lane in their order, read as far as they are asked for, so many at a time. `barred`: as above."""
    yield head.job
    row = head.job
    while rows := tx.connection.execute(_FURTHER, (head.number, row.rank, row.id, page)).fetchall():
        for values in rows:
            row = job_row(values)
            if row.route not in barred:
                yield row


def running(tx: Transaction) -> list[tuple[Lane, int]]:
    """Attempts that hold a slot, by lane, counted from the rows: a counter beside them could leak."""
    return [(lanes.named(values), n) for n, *values in tx.connection.execute(_RUNNING)]


def served(tx: Transaction) -> dict[str | None, int]:
    """When a job of each project was last given to an attempt."""
    return {project: at for project, at in tx.connection.execute(_SERVED) if at}


def claim(
    tx: Transaction,
    chosen: Sequence[JobRow],
    resumable: Callable[[str], bool],
    engine: str,
    reaches: Callable[[str], bool] = lambda node: False,
) -> list[Claim]:
    """Give jobs to new attempts. `engine` is the boot of this engine process; `reaches`: whether a node takes attempts.

    The attempt is counted here, before anything is started, so that a job that takes the engine down with it cannot
    do so for ever.
    """
    numbers = _served_now(tx, chosen)
    first = tx.take("attempts", len(chosen))
    before = [newest_launched(tx, row) for row in chosen]
    going = [
        _going(tx, row, tried, attempt, resumable, reaches)
        for attempt, (row, tried) in enumerate(zip(chosen, before, strict=True), first)
    ]
    given = [
        _given(tx, row, one, attempt, numbers[lane_of(row)], engine)
        for attempt, (row, one) in enumerate(zip(chosen, going, strict=True), first)
    ]
    insert(tx.connection, "attempts", _GIVEN, [[getattr(one, name) for name in _GIVEN] for one in given])
    after = record_all(
        tx,
        [
            (row, log.Claimed(number=one.number, resumes=one.resumes), one.id)
            for row, one in zip(chosen, given, strict=True)
        ],
    )
    specs = read_specs(tx.connection, chosen)
    desks = [_desk(tx, row) if row.worker is not None else None for row in chosen]
    workers.take(tx, [(row.worker, row.id) for row in chosen if row.worker is not None])
    return [
        Claim(
            now, spec, one, tried, row.anew, row.fresh, on.session, on.fork, on.why, desk=desk, shares=_shared(tx, row)
        )
        for now, spec, one, tried, row, on, desk in zip(after, specs, given, before, chosen, going, desks, strict=True)
    ]


def _shared(tx: Transaction, row: JobRow) -> AttemptRow | None:
    if not row.within:
        return None
    values = tx.connection.execute(_PREVIOUS, (row.within,)).fetchone()
    return attempt_row(values) if values else None


def _served_now(tx: Transaction, chosen: Sequence[JobRow]) -> dict[Lane, int]:
    """The numbers of the lanes that jobs are taken from."""
    numbers = {lane: lanes.number(tx, lane, opened=False) for lane in {lane_of(row) for row in chosen}}
    tx.connection.executemany(
        "UPDATE lanes SET served_at = ? WHERE id = ?", [(tx.now, number) for number in numbers.values()]
    )
    return numbers


@dataclass(frozen=True, slots=True)
class _Going:
    """In which session a job goes on; else why it does not."""

    session: Session | None
    why: str
    fork: bool = False


def _going(
    tx: Transaction,
    row: JobRow,
    previous: AttemptRow | None,
    attempt: int,
    resumable: Callable[[str], bool],
    reaches: Callable[[str], bool],
) -> _Going:
    session, why = _session_of(tx, row, previous, resumable)
    if session is not None and previous is not None and previous.node is not None and not reaches(previous.node):
        session, why = None, f"its session is on {previous.node}, which takes nothing now"
    if session is not None and not row.fork:
        sessions.take(tx, session.agent, session.id, attempt)
    return _Going(session, why, row.fork and session is not None)


def _given(tx: Transaction, row: JobRow, going: _Going, attempt: int, lane: int, engine: str) -> AttemptRow:
    """The attempt that a job is given to."""
    return AttemptRow(
        id=attempt,
        job=row.id,
        number=row.attempts + 1,
        agent=row.agent,
        model=row.model,
        account=row.account,
        lane=lane,
        marker=secrets.token_hex(16),
        engine=engine,
        created_at=tx.now,
        resumes=going.session.id if going.session is not None else None,
        forked=going.fork,
    )


def _session_of(
    tx: Transaction, row: JobRow, previous: AttemptRow | None, resumable: Callable[[str], bool]
) -> tuple[Session | None, str]:
    """The conversation that a job goes on in; else why it begins a new one, where it has had one."""
    if previous is None and row.worker is not None:
        return _session_at(tx, row, row.worker)
    if previous is None or previous.workspace is None:
        return None, ""
    if row.fresh:
        after = f"the attempt before failed as {str(row.failure).replace('_', ' ')}" if row.failure else ""
        return None, after or "a new session was asked for"
    # A conversation is kept where its account keeps its files.
    if (previous.agent, previous.account) != (row.agent, row.account):
        return None, f"it ran on {previous.target} before"
    if not resumable(row.agent):
        return None, f"{row.agent} cannot go on in a session"
    if previous.session is None:
        return None, f"{row.agent} did not tell the name of its session"
    if who := sessions.busy(tx, row.agent, previous.session):
        return None, f"its session is taken: {who}"
    found = sessions.read(tx, row.agent, previous.session)
    if found is None:
        return None, "nothing is known of its session any more"
    return found, ""


def _session_at(tx: Transaction, row: JobRow, name: str) -> tuple[Session | None, str]:
    """The conversation of a worker, for a job that begins in it; else why there is a new one, where one has been."""
    stored = workers.one(tx, name)
    if stored is None or stored.session is None or stored.agent is None:
        return None, ""
    if row.fresh:
        return None, "a new session was asked for"
    if (stored.agent, stored.account) != (row.agent, row.account):
        return None, f"{name} worked as {Target(stored.agent, None, stored.account)} before"
    if who := sessions.busy(tx, row.agent, stored.session):
        return None, f"its session is taken: {who}"
    found = sessions.read(tx, row.agent, stored.session)
    return (found, "") if found is not None else (None, "nothing is known of its session any more")


def _desk(tx: Transaction, row: JobRow) -> Desk:
    """The worker of a job, before the job takes it."""
    name = row.worker or ""
    stored = workers.one(tx, name)
    if stored is None:
        return Desk(name)
    last = read_attempts(tx.connection, [stored.attempt]).get(stored.attempt) if stored.attempt is not None else None
    before = read_job(tx.connection, last.job) if last is not None and last.job != row.id else None
    if before is None:
        return Desk(name, stored.branch)
    return Desk(name, stored.branch, last, read_spec(tx.connection, before).prompt)


def newest_launched(tx: Transaction, row: JobRow) -> AttemptRow | None:
    """The newest attempt that ran: what it left in its workspace and its session is what a retry goes on from."""
    if not row.attempts:
        return None
    values = tx.connection.execute(_PREVIOUS, (row.id,)).fetchone()
    return attempt_row(values) if values else None


def caps(tx: Transaction) -> dict[str, int]:
    """The caps that the operator has set, by scope."""
    return dict(tx.connection.execute("SELECT scope, n FROM caps").fetchall())


def holds(tx: Transaction) -> dict[str, str]:
    """The holds on more than one job: scope -> who holds it."""
    return dict(tx.connection.execute("SELECT scope, by FROM holds").fetchall())


def breakers(tx: Transaction) -> dict[str, Breaker]:
    """The targets that have failed of late, as they are written."""
    states = tx.connection.execute("SELECT state FROM breakers").fetchall()
    return {one.target: one for (state,) in states for one in [msgspec.json.decode(state, type=Breaker)]}


def live_attempts(tx: Transaction) -> list[Claim]:
    """Attempts without an end: what an engine finds when it starts."""
    found = tx.connection.execute(
        f"{SELECT_ATTEMPT} INDEXED BY attempts_live WHERE ended_at IS NULL ORDER BY id"
    ).fetchall()
    claims = []
    for tried in map(attempt_row, found):
        row = job_row(tx.connection.execute(f"{SELECT_JOB} WHERE id = ?", (tried.job,)).fetchone())
        parking = attachments.holder(tx, row.id) is not None
        spec, desk = read_spec(tx.connection, row), Desk(row.worker) if row.worker is not None else None
        claims.append(Claim(row, spec, tried, None, row.anew, row.fresh, parking=parking, desk=desk))
    return claims
