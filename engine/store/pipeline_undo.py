"""Taking back what was done to pipelines. Operations of the one writer."""

from __future__ import annotations

import contextlib

from engine import events as log
from engine.decision import Choice
from engine.errors import NotFoundError, RefusedError
from engine.model import Pipeline, PipelineState, State, Step, StepState
from engine.store import cards, merge_undo, pipelines
from engine.store.cards import Closing
from engine.store.fold import record
from engine.store.merges import Stood as MergeStood
from engine.store.pipelines import Frame, Stood
from engine.store.rows import read_job
from engine.store.writer import Transaction


def take_back(tx: Transaction, stood: Stood, by: str) -> str:
    """Let a pipeline stand as before an action, if it still stands as that left it. What came of it, to read."""
    now = pipelines.one(tx, stood.pipeline)
    if now is None:
        return f"pipeline {stood.pipeline} is gone"
    if stood.was is None:
        return _undo_begin(tx, now, by)
    if why := put_back(tx, now, stood, by):
        return why
    return f"pipeline {now.id} is {f'held by {stood.was.held_by}' if stood.was.held_by else stood.was.state} again"


def put_back(tx: Transaction, now: Pipeline, stood: Stood, by: str) -> str:
    """The same, silently. Why not, where it has moved on since."""
    if pipelines.frame(now) != stood.now or stood.was is None:
        return f"pipeline {now.id} has moved on since, and stays as it is: {now.state}"
    was: Frame = stood.was
    if (was.state, was.held_by) != (now.state, now.held_by):
        pipelines.move(tx, now, was.state, by=by, why="undo", held=was.held_by)
    for step in now.steps:
        state, round_, card = was.steps.get(step.name, (step.state, step.round, step.card))
        if (state, round_, card) != (step.state, step.round, step.card):
            pipelines.move_step(tx, now.id, step, StepState(state), by=by, why="undo", round=round_, card=card)
    return ""


def withdraw(tx: Transaction, step: Step) -> None:
    """Close the card of a step that asks no more."""
    card = cards.one(tx, step.card) if step.card is not None else None
    if card is not None and card.open:
        cards.close(tx, cards.job_of(tx, card), None, card.id, Closing(Choice.WITHDRAWN, "headway"))


def take_out(tx: Transaction, pipeline: Pipeline, by: str) -> list[MergeStood]:
    """Take what it has in the merge queue out of that, where it is not too late. What to note of it for `undo`."""
    stood = []
    for step in pipeline.steps:
        if step.merge is None or step.state is not StepState.RUNNING:
            continue
        with contextlib.suppress(RefusedError, NotFoundError):
            stood.append(merge_undo.drop(tx, step.merge, by)[1])
    return stood


def unfinished_jobs(tx: Transaction, batch: int) -> list[int]:
    found = tx.connection.execute("SELECT id FROM jobs WHERE batch = ? AND ended_at IS NULL ORDER BY id", (batch,))
    return [int(row[0]) for row in found]


def _undo_begin(tx: Transaction, now: Pipeline, by: str) -> str:
    if now.state is not PipelineState.RUNNING:
        return f"pipeline {now.id} is {now.state} already"
    for step in now.steps:
        withdraw(tx, step)
    take_out(tx, now, by)
    stays = []
    for job in unfinished_jobs(tx, now.batch):
        row = read_job(tx.connection, job)
        if row is not None and row.state in (State.READY, State.BLOCKED):
            record(tx, row, log.Cancelled(by=by, reason="undo"))
        else:
            stays.append(f"J{job}")
    pipelines.move(tx, now, PipelineState.CANCELLED, by=by, why="undo")
    runs = f"; `headway cancel {' '.join(stays)}` ends what runs" if stays else ""
    return f"pipeline {now.id} is cancelled{runs}"
