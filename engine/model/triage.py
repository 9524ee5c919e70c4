"""What sort of job a job is before anybody has begun it, and why that is thought."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field


class Triage(StrEnum):
    """The class of a job that waits. Routes can match it; `engine.dispatch.triage` has the rules."""

    QUICK = "quick"
    """Small and clear: minutes."""
    BIG = "big"
    """Many files, many steps, or long by experience."""
    CLARIFY = "clarify"
    """It does not say enough to be begun."""
    DEFER = "defer"
    """Nobody waits for it."""


class Fired(Struct, frozen=True, kw_only=True):
    """A rule that speaks for a class."""

    rule: str
    triage: Triage
    weight: float
    """After what the operator's corrections made of it."""
    why: str


class Judgement(Struct, frozen=True, kw_only=True):
    """What the rules say of a job. None: of no class."""

    triage: Triage | None
    sure: bool
    """Nothing speaks for a class, or enough speaks for one alone."""
    fired: list[Fired] = field(default_factory=list)
    scores: dict[Triage, float] = field(default_factory=dict)


class RuleLine(Struct, frozen=True, kw_only=True):
    """A rule as it stands in a project."""

    rule: str
    triage: Triage
    about: str
    weight: float
    """What it began with."""
    agreed: int = 0
    """Corrections that it had spoken for."""
    contradicted: int = 0
    """Corrections to another class than it had spoken for."""
    now: float = 0.0
    """What it weighs by now."""


class TriageRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job that is only thought of: what would it be? Body of `POST /v1/triage`."""

    prompt: Annotated[str, Meta(min_length=1)]
    project: str | None = None
    kind: str | None = None
    tags: list[str] = field(default_factory=list)
    agent: str | None = None


class TriageAnswer(Struct, frozen=True, kw_only=True):
    """What a job is, why, and where that leads."""

    job: int | None
    triage: str | None
    """What stands: the operator's word, else what was found when it was submitted."""
    by: str
    """Who said so: `rules`, `submitter`, a model, or the operator."""
    judgement: Judgement
    """What the rules say of it now."""
    target: str
    """Where it runs."""
    route: str | None = None
    """The route that it takes."""
    routed: str = ""
    """Why it takes that, or none."""
    follows: list[str] = field(default_factory=list)
    """What else comes of its class, by the settings."""


class Correction(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The operator's word on a job's class; None is no class. Body of `POST /v1/jobs/JOB/triage`."""

    triage: Triage | None
    dry_run: bool = False


class Corrected(Struct, frozen=True, kw_only=True):
    """What a correction did."""

    job: int
    was: str | None
    triage: Triage | None
    target: str
    """Where it runs now."""
    agreed: list[str] = field(default_factory=list)
    """Rules that had spoken for it, and weigh more from now on."""
    contradicted: list[str] = field(default_factory=list)
    """Rules that had spoken for something else, and weigh less."""
    action: int | None = None
