"""Pipelines: a declared graph of steps, and how far one of them is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model.order import Preview


class StepKind(StrEnum):
    """What a step does."""

    JOB = "job"
    APPROVE = "approve"
    """The operator reads what a step said, before the others begin."""
    CHECK = "check"
    """Commands in the pipeline's worktree."""
    REVIEW = "review"
    """Agents read the change, each in a copy of its own, and give a verdict."""
    JUDGE = "judge"
    """One agent reads the change and the reviews, and decides."""
    MERGE = "merge"
    """The change comes to the branch of its project, by the merge queue."""


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    ASKING = "asking"
    """A card waits for the operator."""
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


STEP_OVER = frozenset({StepState.DONE, StepState.SKIPPED})


class PipelineState(StrEnum):
    """How far a pipeline is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PipelineInput(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pipeline is told beside its words."""

    name: str
    about: str = ""
    default: str | None = None
    """None: it has to be given."""


class PipelineStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step as it is declared, in a few words."""

    name: str
    kind: StepKind
    after: list[str] = field(default_factory=list)
    says: str = ""


class PipelineFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pipeline as it was found."""

    name: str
    path: str
    source: str
    """`project`, `home` or `shipped`: the first of a name stands."""
    about: str = ""
    inputs: list[PipelineInput] = field(default_factory=list)
    steps: list[PipelineStep] = field(default_factory=list)
    problem: str | None = None
    """Why it cannot be run: all that is wrong in it, a line each."""
    shadows: list[str] = field(default_factory=list)
    """Those of its name that it stands before."""
    text: str = ""
    """Its file, where one is asked for."""


class PipelineWanted(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A pipeline to run: `POST /v1/pipelines`."""

    name: str
    what: Annotated[str, Meta(min_length=1)]
    """What it is to be about, in the operator's words."""
    inputs: dict[str, str] = field(default_factory=dict)
    project: str | None = None
    base: str | None = None
    """The commit that it begins at. Unset: what the project's HEAD is now."""
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    tags: list[str] = field(default_factory=list)
    title: str | None = None
    token: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The client's own name for this: sent again, it begins nothing twice."""
    dry_run: bool = False


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of a pipeline that was begun."""

    name: str
    kind: StepKind
    state: StepState
    after: list[str] = field(default_factory=list)
    round: int = 0
    """How often it was begun."""
    jobs: list[int] = field(default_factory=list)
    card: int | None = None
    merge: int | None = None
    result: str = ""
    findings: str = ""
    """What an earlier step was, or is, to mend because of it."""
    why: str = ""
    began_at: int | None = None
    ended_at: int | None = None


class Pipeline(Struct, frozen=True, kw_only=True):
    """A pipeline that was begun. `steps` is empty where pipelines are listed."""

    id: int
    at: int
    by: str
    name: str
    title: str
    state: PipelineState
    project: str | None = None
    batch: int = 0
    held_by: str | None = None
    why: str = ""
    ended_at: int | None = None
    what: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    base: str | None = None
    steps: list[Step] = field(default_factory=list)


class PipelineBegun(Struct, frozen=True, kw_only=True):
    """What an order to run one did, or would do."""

    pipeline: Pipeline | None = None
    steps: list[PipelineStep] = field(default_factory=list)
    preview: Preview | None = None
    """For a dry run: of its jobs, as far as they can be known before any has run."""
    action: int | None = None


class PipelineVerb(StrEnum):
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    RETRY = "retry"


class PipelineOrder(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A verb on a whole pipeline: `POST /v1/pipelines/N`."""

    verb: PipelineVerb
    dry_run: bool = False


class PipelineActed(Struct, frozen=True, kw_only=True):
    """What a verb did to a pipeline and its jobs."""

    pipeline: Pipeline
    verb: PipelineVerb
    jobs: list[int] = field(default_factory=list)
    stopping: list[int] = field(default_factory=list)
    action: int | None = None
    dry_run: bool = False
