"""Rows of the database as types, and the statements that read and write them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import compress
from operator import ne
from typing import Any

import msgspec
from msgspec import Struct, structs

from engine import events as log
from engine.events import Standing
from engine.model import Attempt, DiffStat, Failure, Grade, Job, JobSpec, State, Target, Usage
from engine.store import lanes
from engine.store.insert import insert
from engine.store.writer import Transaction


class JobRow(Struct, frozen=True, kw_only=True, array_like=True):
    """A row of `jobs`, column by column. Read from a row as it comes, by place and not by name."""

    id: int
    state: State
    title: str
    agent: str
    model: str | None
    project: str | None
    priority: int
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    not_before: int | None = None
    held_by: str | None = None
    attempts: int = 0
    attempt: int | None = None
    stopping: str | None = None
    fresh: bool = False
    failure: Failure | None = None
    reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int | None = None
    cost_grade: Grade = Grade.UNKNOWN
    spec_seq: int = 0
    account: str | None = None
    kind: str | None = None
    tags: str = ""
    """` a b `, sorted; empty for none."""
    unique_key: str | None = None
    batch: int | None = None
    deadline: int | None = None
    rank: int = 0
    tries: int = 0
    waits: int = 0
    cause: int | None = None
    anew: bool = False
    fork: bool = False
    waiting_on: int | None = None
    route: str | None = None
    triage: str | None = None
    schedule: str | None = None
    worker: str | None = None
    within: int | None = None

    @property
    def target(self) -> Target:
        return Target(self.agent, self.model, self.account)

    @property
    def startable(self) -> bool:
        """Nothing about the job itself keeps it from starting."""
        return self.state is State.READY and self.held_by is None and self.not_before is None

    @property
    def standing(self) -> Standing:
        """How it stands, as far as an operator's verb can change it."""
        return Standing(**{name: getattr(self, name) for name in Standing.__struct_fields__})

    def as_job(self) -> Job:
        return Job(
            id=self.id,
            state=self.state,
            title=self.title,
            agent=self.agent,
            model=self.model,
            project=self.project,
            priority=self.priority,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            not_before=self.not_before,
            held_by=self.held_by,
            account=self.account,
            route=self.route,
            kind=self.kind,
            tags=self.tags.split(),
            key=self.unique_key,
            batch=self.batch,
            deadline=self.deadline,
            attempts=self.attempts,
            waiting_on=self.waiting_on,
            schedule=self.schedule,
            stopping=self.stopping is not None,
            failure=self.failure,
            reason=self.reason,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_micros=self.cost_micros,
            cost_grade=self.cost_grade,
            triage=self.triage,
            worker=self.worker,
        )


JOB_COLUMNS = JobRow.__struct_fields__
SELECT_JOB = f"SELECT {', '.join(JOB_COLUMNS)} FROM jobs"
_SELECT_JOBS = f"{SELECT_JOB} WHERE id IN (SELECT value FROM json_each(?))"
_SELECT_BODIES = "SELECT seq, body FROM events WHERE seq IN (SELECT value FROM json_each(?))"


def job_row(values: Sequence[Any]) -> JobRow:
    """A row as selected by `SELECT_JOB`."""
    return msgspec.convert(values, JobRow, strict=False)


def read_job(connection: sqlite3.Connection, job: int) -> JobRow | None:
    if job >= 1 << 63:
        return None  # past SQLite's integers, which are the only ids there are
    values = connection.execute(f"{SELECT_JOB} WHERE id = ?", (job,)).fetchone()
    return job_row(values) if values else None


def holder_of(tx: Transaction, key: str) -> int | None:
    """The unfinished job that has a key."""
    found = tx.connection.execute("SELECT id FROM jobs WHERE unique_key = ? AND ended_at IS NULL", (key,)).fetchone()
    return int(found[0]) if found else None


def insert_jobs(tx: Transaction, rows: Sequence[JobRow]) -> None:
    """Write jobs that are new, and of each only what is not as in most jobs: that halves what it costs."""
    values: dict[tuple[int, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        told = structs.astuple(row)
        places = tuple(compress(_PLACES, map(ne, told, _USUAL)))
        lane = lanes.number(tx, lane_of(row), opened=row.startable)
        values.setdefault(places, []).append((*(told[place] for place in places), lane))
    for places, few in values.items():
        insert(tx.connection, "jobs", (*(JOB_COLUMNS[place] for place in places), "lane"), few)
    for row in rows:
        tx.count(row.state, 1)
        if row.held_by is not None and row.ended_at is None:
            tx.count("held", 1)


def save_jobs(tx: Transaction, changes: Iterable[tuple[JobRow, JobRow]]) -> None:
    """Write what changed of each job, and only that: an index whose columns stay the same is then not touched."""
    values: dict[tuple[int, ...], list[tuple[Any, ...]]] = {}
    moved = []
    for before, after in changes:
        was, now = structs.astuple(before), structs.astuple(after)
        changed = tuple(compress(_PLACES, map(ne, was, now)))
        if not changed:
            continue
        values.setdefault(changed, []).append((*(now[place] for place in changed), after.id))
        _count_move(tx, before, after)
        if not _LANE_PLACES.isdisjoint(changed) or (after.startable and not before.startable):
            moved.append((after, _LANE_PLACES.isdisjoint(changed)))
    for changed, rows in values.items():
        tx.connection.executemany(_update(changed), rows)
    for after, same_lane in moved:
        if same_lane:
            lanes.open_for(tx.connection, after.id)
        else:
            lane = lanes.number(tx, lane_of(after), opened=after.startable)
            tx.connection.execute("UPDATE jobs SET lane = ? WHERE id = ?", (lane, after.id))


def _count_move(tx: Transaction, before: JobRow, after: JobRow) -> None:
    if before.state is not after.state:
        tx.count(before.state, -1)
        tx.count(after.state, 1)
    was_held = before.held_by is not None and before.ended_at is None
    is_held = after.held_by is not None and after.ended_at is None
    if was_held is not is_held:
        tx.count("held", 1 if is_held else -1)


_PLACES = range(len(JOB_COLUMNS))
#: What a column has where nobody says anything, here and in the schema; of some there is nothing usual.
_USUAL = tuple(object() if one.required else one.default for one in structs.fields(JobRow))
_LANE_PLACES = frozenset(JOB_COLUMNS.index(name) for name in lanes.Lane.__struct_fields__)


@cache
def _update(changed: tuple[int, ...]) -> str:
    """The statement that writes these columns."""
    return f"UPDATE jobs SET {', '.join(f'{JOB_COLUMNS[place]} = ?' for place in changed)} WHERE id = ?"


def lane_of(row: JobRow) -> lanes.Lane:
    """The lane in which a job waits."""
    return lanes.Lane(row.agent, row.model, row.account, row.project, row.tags, row.kind, row.priority, row.worker)


def read_jobs(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, JobRow]:
    """Those of the jobs that are there, by id."""
    found = connection.execute(_SELECT_JOBS, (msgspec.json.encode(ids).decode(),))
    return {row.id: row for row in map(job_row, found)}


def read_specs(connection: sqlite3.Connection, rows: Sequence[JobRow]) -> list[JobSpec]:
    """What each of some jobs asks for."""
    seqs = msgspec.json.encode([row.spec_seq for row in rows]).decode()
    bodies = dict(connection.execute(_SELECT_BODIES, (seqs,)).fetchall())
    return [spec_in(bodies[row.spec_seq]) for row in rows]


def read_spec(connection: sqlite3.Connection, row: JobRow) -> JobSpec:
    """What a job asks for: the spec of its submission, or of its last edit."""
    body = connection.execute("SELECT body FROM events WHERE seq = ?", (row.spec_seq,)).fetchone()[0]
    return spec_in(body)


def spec_in(body: str) -> JobSpec:
    """The spec that the body of an event carries."""
    carrier: log.Submitted | log.Edited = _CARRIES_SPEC.decode(body)
    return carrier.spec


_CARRIES_SPEC = msgspec.json.Decoder(log.Submitted | log.Edited)


class AttemptRow(Struct, frozen=True, kw_only=True, array_like=True):
    """A row of `attempts`."""

    id: int
    job: int
    number: int
    agent: str
    model: str | None
    marker: str
    engine: str
    created_at: int
    account: str | None = None
    lane: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    session: str | None = None
    resumes: str | None = None
    workspace: str | None = None
    branch: str | None = None
    base: str | None = None
    succeeded: bool | None = None
    failure: Failure | None = None
    reason: str | None = None
    result: str | None = None
    diff_files: int | None = None
    diff_added: int | None = None
    diff_removed: int | None = None
    unknown_lines: int = 0
    memory_peak: int | None = None
    forked: bool = False
    handoff: str | None = None
    note: str | None = None
    cpu_ms: int | None = None
    processes_peak: int | None = None
    node: str | None = None
    """Where it runs; None for the engine's own machine."""

    @property
    def target(self) -> Target:
        return Target(self.agent, self.model, self.account)

    def as_attempt(self, usage: list[Usage], run_dir: str) -> Attempt:
        stat = None
        if self.diff_files is not None:
            stat = DiffStat(files=self.diff_files, added=self.diff_added or 0, removed=self.diff_removed or 0)
        return Attempt(
            id=self.id,
            job=self.job,
            number=self.number,
            agent=self.agent,
            model=self.model,
            created_at=self.created_at,
            account=self.account,
            started_at=self.started_at,
            ended_at=self.ended_at,
            pid=self.pid,
            exit_code=self.exit_code,
            session=self.session,
            resumes=self.resumes,
            workspace=self.workspace,
            branch=self.branch,
            run_dir=run_dir,
            succeeded=self.succeeded,
            failure=self.failure,
            reason=self.reason,
            result=self.result,
            diff=stat,
            unknown_lines=self.unknown_lines,
            memory_peak=self.memory_peak,
            cpu_ms=self.cpu_ms,
            processes_peak=self.processes_peak,
            forked=self.forked,
            handoff=self.handoff,
            note=self.note,
            node=self.node,
            usage=usage,
        )


ATTEMPT_COLUMNS = AttemptRow.__struct_fields__
SELECT_ATTEMPT = f"SELECT {', '.join(ATTEMPT_COLUMNS)} FROM attempts"
_SELECT_ATTEMPTS = f"{SELECT_ATTEMPT} WHERE id IN (SELECT value FROM json_each(?))"


def attempt_row(values: Sequence[Any]) -> AttemptRow:
    """A row as selected by `SELECT_ATTEMPT`."""
    return msgspec.convert(values, AttemptRow, strict=False)


def read_attempts(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, AttemptRow]:
    """Those of the attempts that are there, by id."""
    found = connection.execute(_SELECT_ATTEMPTS, (msgspec.json.encode(ids).decode(),))
    return {row.id: row for row in map(attempt_row, found)}


def attempt_rows(found: Iterable[Sequence[Any]]) -> list[AttemptRow]:
    return [attempt_row(values) for values in found]


SELECT_USAGE = (
    "SELECT model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, "
    "reasoning_tokens, cost_micros, grade "
    "FROM usage WHERE attempt = ? ORDER BY model"
)


def usage_row(values: Sequence[Any]) -> Usage:
    """A row as selected by `SELECT_USAGE`."""
    return msgspec.convert(dict(zip(Usage.__struct_fields__, values, strict=True)), Usage, strict=False)
