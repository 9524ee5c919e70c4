"""Pipelines as the database keeps them. Operations of the one writer, or looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct, field, structs

from engine import events as log
from engine.model import Pipeline, PipelineState, Step, StepKind, StepState
from engine.store.writer import Transaction

_COLUMNS = ("id", "at", "by", "name", "title", "project", "batch", "state", "held_by", "why", "ended_at")
_PIPELINE = f"SELECT {', '.join(_COLUMNS)}, plan FROM pipelines"
_STEP_COLUMNS = (
    "name", "state", "round", "jobs", "card", "merge", "result", "findings", "why", "began_at", "ended_at",
)  # fmt: skip
_STEPS = f"SELECT {', '.join(_STEP_COLUMNS)} FROM pipeline_steps WHERE pipeline = ? ORDER BY place"
_OF_JOB = (
    "SELECT pipelines.id, pipelines.name, step.name FROM pipelines JOIN pipeline_steps AS step "
    "ON step.pipeline = pipelines.id WHERE pipelines.batch = ? "
    "AND EXISTS (SELECT 1 FROM json_each(step.jobs) WHERE value = ?) LIMIT 1"
)
_KEPT = frozenset({StepState.DONE, StepState.SKIPPED, StepState.FAILED})


class Declared(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step as it was declared when its pipeline was begun, as far as its state is told with it."""

    name: str
    kind: StepKind
    after: list[str] = field(default_factory=list)


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pipeline was begun with."""

    what: str
    steps: list[Declared]
    spec: msgspec.Raw
    """The file as it was then, as JSON: whoever brings it on knows its type."""
    inputs: dict[str, str] = field(default_factory=dict)
    base: str | None = None
    priority: int | None = None
    tags: list[str] = field(default_factory=list)
    path: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """A pipeline to begin."""

    name: str
    title: str
    project: str | None
    plan: Plan
    by: str


class Frame(Struct, frozen=True, omit_defaults=True):
    """How a pipeline and its steps stand: what an action changes, and `undo` puts back."""

    state: PipelineState
    held_by: str | None = None
    steps: dict[str, tuple[StepState, int, int | None]] = field(default_factory=dict)
    """Step -> its state, its round, its card."""


class Stood(Struct, frozen=True, omit_defaults=True):
    """What an action changed. `was`: None where it began it."""

    pipeline: int
    now: Frame
    was: Frame | None = None
    card: int | None = None
    """The card that was answered."""


def begin(tx: Transaction, wanted: Begin) -> Pipeline:
    """Write down a pipeline and its batch. No step has begun."""
    batch = tx.connection.execute(
        "INSERT INTO batches (name, at) VALUES (?, ?)", (wanted.title[:100], tx.now)
    ).lastrowid
    made = tx.connection.execute(
        "INSERT INTO pipelines (at, by, name, title, project, batch, plan, state) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'running')",
        (tx.now, wanted.by, wanted.name, wanted.title, wanted.project, batch,
         msgspec.json.encode(wanted.plan).decode()),
    )  # fmt: skip
    number = made.lastrowid or 0
    tx.connection.executemany(
        "INSERT INTO pipeline_steps (pipeline, place, name, state) VALUES (?, ?, ?, 'waiting')",
        [(number, place, one.name) for place, one in enumerate(wanted.plan.steps)],
    )
    tx.log(log.PipelineEntered(pipeline=number, name=wanted.name, title=wanted.title, by=wanted.by))
    found = one(tx, number)
    assert found is not None, "it has just been written"
    return found


def one(tx: Transaction, number: int) -> Pipeline | None:
    """A pipeline with its steps."""
    if number >= 1 << 63:
        return None
    values = tx.connection.execute(f"{_PIPELINE} WHERE id = ?", (number,)).fetchone()
    if values is None:
        return None
    found, plan = _pipeline(values)
    declared = {one.name: one for one in plan.steps}
    rows = tx.connection.execute(_STEPS, (number,)).fetchall()
    return structs.replace(found, steps=[_step(row, declared) for row in rows])


def plan_of(tx: Transaction, number: int) -> Plan:
    (text,) = tx.connection.execute("SELECT plan FROM pipelines WHERE id = ?", (number,)).fetchone()
    return msgspec.json.decode(text, type=Plan)


def newest(tx: Transaction, limit: int) -> list[Pipeline]:
    """The newest, without their steps."""
    found = tx.connection.execute(f"{_PIPELINE} ORDER BY id DESC LIMIT ?", (limit,))
    return [_pipeline(values)[0] for values in found]


def unfinished(tx: Transaction) -> list[int]:
    """Those that go on by themselves."""
    found = tx.connection.execute("SELECT id FROM pipelines WHERE ended_at IS NULL AND held_by IS NULL ORDER BY id")
    return [int(row[0]) for row in found]


def of_job(tx: Transaction, job: int, batch: int | None) -> tuple[int, str, str] | None:
    """The pipeline that a job is of: its number, its name, and the name of the step."""
    found = None if batch is None else tx.connection.execute(_OF_JOB, (batch, job)).fetchone()
    return (int(found[0]), str(found[1]), str(found[2])) if found else None


def frame(of: Pipeline) -> Frame:
    return Frame(of.state, of.held_by, {one.name: (one.state, one.round, one.card) for one in of.steps})


def move_step(
    tx: Transaction, pipeline: int, before: Step, to: StepState, *, by: str = "headway", why: str = "", **fields: Any
) -> bool:
    """Bring a step to another state, unless it is not as it was thought to be: then False, and nothing is done."""
    values = {name: msgspec.json.encode(value).decode() if name == "jobs" else value for name, value in fields.items()}
    values |= {"why": why, "ended_at": tx.now if to in _KEPT else None}
    if to is StepState.RUNNING or (to is StepState.ASKING and before.state is StepState.WAITING):
        values |= {"began_at": tx.now}
    columns = ", ".join(f"{name} = ?" for name in values)
    done = tx.connection.execute(
        f"UPDATE pipeline_steps SET state = ?, {columns} WHERE pipeline = ? AND name = ? AND state = ? AND round = ? "
        "AND card IS ?",
        (to, *values.values(), pipeline, before.name, before.state, before.round, before.card),
    )
    if not done.rowcount:
        return False
    jobs = tuple(fields.get("jobs", before.jobs))
    number = fields.get("round", before.round)
    tx.log(log.StepMoved(pipeline=pipeline, step=before.name, state=to, by=by, why=why, round=number, jobs=jobs))
    return True


def move(
    tx: Transaction, before: Pipeline, to: PipelineState, *, by: str = "headway", why: str = "", held: str | None = None
) -> None:
    """Bring a pipeline to another state. Who has read it does so in the same transaction."""
    ended = None if to is PipelineState.RUNNING else tx.now
    tx.connection.execute(
        "UPDATE pipelines SET state = ?, held_by = ?, why = ?, ended_at = ? WHERE id = ?",
        (to, held, why, ended, before.id),
    )
    tx.log(log.PipelineMoved(pipeline=before.id, state=to, by=by, why=why, held_by=held))


def _pipeline(values: Sequence[Any]) -> tuple[Pipeline, Plan]:
    *own, text = values
    fields = dict(zip(_COLUMNS, own, strict=True))
    plan = msgspec.json.decode(text, type=Plan)
    told = {"what": plan.what, "inputs": plan.inputs, "base": plan.base}
    return Pipeline(**{**fields, **told, "state": PipelineState(fields["state"])}), plan


def _step(values: Sequence[Any], declared: dict[str, Declared]) -> Step:
    fields = dict(zip(_STEP_COLUMNS, values, strict=True))
    own = declared[fields["name"]]
    jobs = msgspec.json.decode(fields["jobs"], type=list[int])
    return Step(**{**fields, "jobs": jobs, "state": StepState(fields["state"]), "kind": own.kind, "after": own.after})
