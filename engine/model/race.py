"""One prompt on several targets at once, and which of them did it best."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model.attempt import DiffStat
from engine.model.check import CheckResult
from engine.model.words import Failure, Grade, State

MOST_TARGETS = 16
MOST_CHECKS = 20


class RaceState(StrEnum):
    """How far a race is."""

    RUNNING = "running"
    CHECKING = "checking"
    """Enough have ended; checks run in their workspaces."""
    JUDGING = "judging"
    """Several are left, and a judge reads them."""
    DECIDED = "decided"
    OPEN = "open"
    """It is over, and nothing that was asked for could tell them apart: the operator picks."""


RACE_ENDED = frozenset({RaceState.DECIDED, RaceState.OPEN})


class RaceWanted(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A race as it is asked for: `POST /v1/races`."""

    prompt: Annotated[str, Meta(min_length=1)]
    on: Annotated[list[str], Meta(min_length=2, max_length=MOST_TARGETS)]
    """Targets. The same one twice is two tries."""
    project: str | None = None
    base: str | None = None
    """The commit, branch or tag that all begin at. Unset: what the project's HEAD is now."""
    checks: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=MOST_CHECKS)] = field(
        default_factory=list
    )
    """Command lines that have to exit with 0 in a workspace."""
    check_timeout: str | int = "10m"
    """For each."""
    judge: str | None = None
    """A target that reads what is left and says which is best."""
    first: Annotated[int, Meta(ge=1)] | None = None
    """Decide once so many have ended well; the others are cancelled. Unset: once all have ended."""
    title: str | None = None
    kind: str | None = None
    tags: list[str] = field(default_factory=list)
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    timeout: str | int | None = None
    dry_run: bool = False


class RacePick(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The operator's choice: `POST /v1/races/N/pick`."""

    job: int
    dry_run: bool = False


class RaceEntry(Struct, frozen=True, kw_only=True):
    """One job of a race."""

    job: int
    lot: int
    """Its place in the order in which a judge reads them, drawn by lot."""
    target: str
    state: State | None
    """None: the job was pruned."""
    failure: Failure | None = None
    attempt: int = 0
    """The number of its newest attempt."""
    workspace: str | None = None
    branch: str | None = None
    diff: DiffStat | None = None
    result: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int | None = None
    cost_grade: Grade = Grade.UNKNOWN
    took_ms: int | None = None
    fit: bool | None = None
    """It can still win; None until enough have ended for that to be looked at."""
    passed: bool | None = None
    """All checks; None where none was run."""
    checks: list[CheckResult] = field(default_factory=list)
    note: str = ""
    """Why it is out, or what the judge said of it."""


class Race(Struct, frozen=True, kw_only=True):
    """A race. `entries` is empty where races are listed."""

    id: int
    at: int
    by: str
    title: str
    state: RaceState
    project: str | None = None
    base: str | None = None
    batch: int = 0
    checks: list[str] = field(default_factory=list)
    check_ms: int = 600_000
    judge: str | None = None
    judge_job: int | None = None
    first: int | None = None
    winner: int | None = None
    decided_at: int | None = None
    decided_by: str | None = None
    """`checks`, the judge's target, or who picked."""
    why: str = ""
    entries: list[RaceEntry] = field(default_factory=list)


class RacePicked(Struct, frozen=True, kw_only=True):
    """What a pick did."""

    race: int
    job: int
    was: int | None
    """Who had won before."""
    branch: str | None = None
    action: int | None = None
