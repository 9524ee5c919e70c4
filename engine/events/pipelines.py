"""Pipelines, and how their steps get on."""

from __future__ import annotations

from engine.events.body import Body
from engine.model.pipeline import PipelineState, StepState


class PipelineEntered(Body, frozen=True, tag="pipeline_entered"):
    """A pipeline was begun."""

    pipeline: int
    name: str
    title: str
    by: str


class PipelineMoved(Body, frozen=True, tag="pipeline_moved"):
    """It came to its end, was held or released, or goes on again."""

    pipeline: int
    state: PipelineState
    by: str
    why: str = ""
    held_by: str | None = None


class StepMoved(Body, frozen=True, tag="step_moved"):
    """One of its steps got on."""

    pipeline: int
    step: str
    state: StepState
    by: str
    why: str = ""
    round: int = 0
    jobs: tuple[int, ...] = ()


PipelineBody = PipelineEntered | PipelineMoved | StepMoved
