"""What is done to pipelines: cards put up, work sent back, steps done once more. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.model import JobSpec, Pipeline, State, Step, StepState
from engine.store import pipelines, sending_back
from engine.store.answering import raise_card
from engine.store.cards import Asking, Due
from engine.store.clarify import NO_ATTEMPT
from engine.store.pipeline_undo import withdraw
from engine.store.rows import read_job
from engine.store.writer import Transaction

_LOST = frozenset({State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Back:
    """Who mends what was found, and what is to be done again after that."""

    target: str
    behind: tuple[str, ...]
    spec: JobSpec
    """Of its job, with what was found below its prompt."""


def stands(tx: Transaction, pipeline: Pipeline) -> bool:
    """Whether a pipeline is as it was read."""
    now = pipelines.one(tx, pipeline.id)
    return now is not None and pipelines.frame(now) == pipelines.frame(pipeline)


def ask(tx: Transaction, pipeline: Pipeline, step: Step, job: int, asking: Asking, due: Due, **fields: Any) -> bool:
    """Put a card up for a step. False where the pipeline has moved on meanwhile."""
    if not stands(tx, pipeline):
        return False
    row = read_job(tx.connection, job)
    if row is None:
        why = f"{asking.summary}; J{job} was pruned, so that nobody can be asked"
        return pipelines.move_step(tx, pipeline.id, step, StepState.FAILED, why=why, **fields)
    card = raise_card(tx, row, NO_ATTEMPT, asking, due, holds=False).card
    return pipelines.move_step(tx, pipeline.id, step, StepState.ASKING, why=asking.summary, card=card, **fields)


def send_back(tx: Transaction, pipeline: Pipeline, step: Step, back: Back, findings: str, by: str) -> str:
    """Let the writer mend it, and do again what comes after. Why not, where that cannot be; then nothing is done."""
    if not stands(tx, pipeline):
        return "it has moved on meanwhile"
    target = next(one for one in pipeline.steps if one.name == back.target)
    row = read_job(tx.connection, target.jobs[-1]) if target.jobs else None
    if row is None:
        return f"the job of {target.name} was pruned"
    if why := sending_back.obstacle(tx, row):
        return why
    if row.ended_at is not None:
        sending_back.restart(tx, row, back.spec, by)
    why = f"{step.name} sent it back"
    pipelines.move_step(tx, pipeline.id, target, StepState.RUNNING, by=by, why=why, round=target.round + 1)
    again = {step.name, *back.behind} - {target.name}
    for other in pipeline.steps:
        if other.name in again and other.state is not StepState.WAITING:
            withdraw(tx, other)
            more = {"findings": findings} if other.name == step.name else {}
            pipelines.move_step(tx, pipeline.id, other, StepState.WAITING, by=by, card=None, **more)
    return ""


def once_more(tx: Transaction, pipeline: Pipeline, failed: Iterable[Step], by: str) -> None:
    """Steps that failed are done again: those whose jobs were put back go on with them, the others begin anew."""
    for step in failed:
        rows = [read_job(tx.connection, job) for job in step.jobs]
        goes_on = bool(rows) and all(row is not None and row.state not in _LOST for row in rows)
        to = StepState.RUNNING if goes_on else StepState.WAITING
        pipelines.move_step(tx, pipeline.id, step, to, by=by, why="once more", card=None)
