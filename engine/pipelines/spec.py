"""A pipeline's file: inputs, and steps that come after each other."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from engine.model import TAG, Permission
from engine.model.pipeline import StepKind

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}\Z")]
Text = Annotated[str, Meta(min_length=1)]
MOST_STEPS = 50


class Place(StrEnum):
    """Where a step's job works."""

    SHARED = "shared"
    """In the pipeline's worktree, in which all such steps work one after the other."""
    COPY = "copy"
    """In a worktree of its own with what the pipeline's has by then. What it changes there goes nowhere."""
    NONE = "none"
    """In an empty directory of its own."""


class InputSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that is told when it is run: `--input NAME=VALUE`."""

    about: str = ""
    default: str | None = None
    """Unset: it has to be given."""


class SmallSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Work so small that nobody is asked: all that is said has to hold, by the plan's own JSON or a forecast."""

    files: Annotated[int, Meta(ge=0)] | None = None
    """The plan names at most so many."""
    minutes: Annotated[int, Meta(ge=0)] | None = None
    """The plan says so many at most."""
    cost: str | int | float | None = None
    """What follows is expected to cost at most so much, as `$0.50`; what is not known is not small."""


class StepSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step."""

    name: Name
    kind: StepKind = StepKind.JOB
    after: list[Name] | None = None
    """Steps that have to be over first. Unset: the one above it."""
    about: str = ""
    prompt: Text | None = None
    """Of a job, a review or a judge. `{{ what }}`, `{{ NAME }}` of an input, `{{ steps.NAME }}`, `{{ change }}`."""
    target: str | None = None
    """A target; an input may stand in it. Unset or empty: a route that matches, or the default agent."""
    route: Annotated[str, Meta(pattern=TAG)] | None = None
    skills: list[Annotated[str, Meta(min_length=1, max_length=64)]] = field(default_factory=list)
    permission: Permission | None = None
    timeout: str | int | None = None
    stall: str | int | None = None
    budget: str | int | float | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    repeatable: bool | None = None
    gate: Annotated[str, Meta(pattern=TAG)] | None = None
    """A gate of the settings, which its work has to pass. Unset: that of the project or the kind, for work in the
    pipeline's worktree; for what only reads, none.
    """
    workspace: Place | None = None
    """Unset: `shared`; for a review and a judge `copy`."""
    of: Name | None = None
    """`approve`: the step whose words are read. Unset: the last job before it."""
    back: Name | None = None
    """The step that has to mend what a check, a review or a judge finds. Unset: the last shared job before it."""
    rounds: Annotated[int, Meta(ge=0, le=20)] = 2
    """How often it may be sent back before the operator is asked."""
    checks: list[Text] | None = None
    """`check` and `merge`: command lines. Unset: those of the project's `merge: checks:`."""
    reviewers: list[str] | None = None
    """`review`: targets, one verdict each. Unset: one, as `target` says."""
    quorum: Annotated[int, Meta(ge=1)] | None = None
    """`review`: so many have to approve. Unset: all of them."""
    small: SmallSpec | None = None
    """`approve`: nobody is asked about work that is so small."""
    into: str | None = None
    """`merge`: a branch."""

    @property
    def place(self) -> Place:
        if self.workspace is not None:
            return self.workspace
        return Place.COPY if self.kind in (StepKind.REVIEW, StepKind.JUDGE) else Place.SHARED

    @property
    def shares(self) -> bool:
        """A job in the pipeline's worktree."""
        return self.kind is StepKind.JOB and self.place is Place.SHARED


class PipelineSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    kind: Literal["pipeline"]
    about: str = ""
    inputs: dict[Name, InputSpec] = field(default_factory=dict)
    steps: Annotated[list[StepSpec], Meta(min_length=1, max_length=MOST_STEPS)]

    def step(self, name: str) -> StepSpec:
        return next(one for one in self.steps if one.name == name)

    def after(self, name: str) -> list[str]:
        """The steps that a step comes after."""
        place = next(place for place, one in enumerate(self.steps) if one.name == name)
        own = self.steps[place].after
        if own is not None:
            return own
        return [self.steps[place - 1].name] if place else []

    def before(self, name: str) -> list[str]:
        """All steps that are over once a step begins, in their order."""
        found: set[str] = set()
        waiting = [*self.after(name)]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.after(one)
        return [one.name for one in self.steps if one.name in found]

    def behind(self, name: str) -> list[str]:
        """All steps that come after a step, in their order."""
        return [one.name for one in self.steps if name in self.before(one.name)]

    def last_job(self, name: str, *, shared: bool) -> str | None:
        """The last job before a step: of those in the pipeline's worktree, or of all."""
        found = [one for one in self.before(name) if self.step(one).kind is StepKind.JOB]
        return next((one for one in reversed(found) if not shared or self.step(one).shares), None)

    def back_of(self, step: StepSpec) -> str | None:
        """Who has to mend what a step finds."""
        return step.back or self.last_job(step.name, shared=True)

    def of_of(self, step: StepSpec) -> str | None:
        """Whose words are read for an approval."""
        return step.of or self.last_job(step.name, shared=False)

    def decides(self, step: StepSpec) -> bool:
        """Whether a review decides by itself: not where a judge comes right after it."""
        return not any(one.kind is StepKind.JUDGE and step.name in self.after(one.name) for one in self.steps)
