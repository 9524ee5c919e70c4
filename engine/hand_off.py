"""The nouns of a hand-off: what one attempt leaves for the next, in the same five parts whoever writes it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

HEADWAY = "headway"  #: who writes one from the record
LINE_LIMIT = 2_000  #: characters of one entry
ENTRIES_LIMIT = 50  #: of one part

Line = Annotated[str, Meta(min_length=1, max_length=LINE_LIMIT)]


class Cause(StrEnum):
    """On what occasion it was written."""

    OWN = "own"
    """Its writer thought it worth saying."""
    PARK = "park"
    """The job waits: for a limit, for its budget, for the operator."""
    ROTATION = "rotation"
    """A new session of the same agent goes on."""
    REROUTE = "reroute"
    """Another target goes on."""
    FAILURE = "failure"
    """The attempt failed."""


class Done(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something that is done, and how one can see that."""

    what: Line
    proof: Annotated[str, Meta(max_length=LINE_LIMIT)] = ""
    """A command that passed, a commit, a file with a line."""


class HandOff(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the next attempt has to know. Body of `POST /v1/jobs/JOB/hand-offs`."""

    goal: Annotated[str, Meta(max_length=LINE_LIMIT)] = ""
    state: Annotated[str, Meta(max_length=LINE_LIMIT)] = ""
    done: Annotated[list[Done], Meta(max_length=ENTRIES_LIMIT)] = field(default_factory=list)
    next: Annotated[list[Line], Meta(max_length=ENTRIES_LIMIT)] = field(default_factory=list)
    traps: Annotated[list[Line], Meta(max_length=ENTRIES_LIMIT)] = field(default_factory=list)
    """What cost time, and would again."""

    @property
    def empty(self) -> bool:
        """It says nothing."""
        return not (self.goal.strip() or self.state.strip() or self.done or self.next or self.traps)


class Stored(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hand-off as it is kept, with where it comes from."""

    id: int
    job: int
    at: int
    by: str
    """`headway`, `operator`, or the name of an agent."""
    cause: Cause
    note: HandOff
    attempt: int | None = None
    """The attempt that it is about: its number among those of the job."""
    told: int | None = None
    """The number of the attempt that was told it."""
