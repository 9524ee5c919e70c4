"""A job's work on its way to the branch of its project: what stands in the queue, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model.check import CheckResult

MOST_MERGES = 200  #: of one order


class MergeState(StrEnum):
    """How far a merge is."""

    QUEUED = "queued"
    CHECKING = "checking"
    """It was put on top of the branch, and checks run on that."""
    LANDING = "landing"
    """The checks passed; the branch is being moved to it."""
    STUCK = "stuck"
    """A card asks what is to become of it; others go on past it."""
    RETURNING = "returning"
    """It goes back to its writer, and is queued again."""
    MERGED = "merged"
    DROPPED = "dropped"
    LEFT = "left"
    """The operator sees to it by hand."""


MERGE_ENDED = frozenset({MergeState.MERGED, MergeState.DROPPED, MergeState.LEFT})


class Conflict(Struct, frozen=True):
    """A file that both sides changed so that git cannot tell which is meant."""

    file: str
    what: str
    """In git's words, such as `content` or `modify/delete`."""
    hunks: str = ""
    """Both sides of each place, marked as git marks them; empty where a side has no text there."""


class Merge(Struct, frozen=True, kw_only=True):
    """A job's work in the queue of a repository."""

    id: int
    at: int
    by: str
    job: int
    title: str
    project: str
    """The checkout that the job's worktree was made from."""
    repository: str
    """Its git directory: there is one queue for each."""
    target: str
    """The branch that it is for."""
    state: MergeState
    checks: list[str] = field(default_factory=list)
    check_ms: int = 600_000
    source: str | None = None
    """The commit that holds the job's work."""
    onto: str | None = None
    """Where the branch was when the work was put on top of it."""
    candidate: str | None = None
    """The commit that came of that, and that the branch becomes."""
    conflicts: list[Conflict] = field(default_factory=list)
    results: list[CheckResult] = field(default_factory=list)
    card: int | None = None
    why: str = ""
    ended_at: int | None = None
    ahead: int | None = None
    """How many go before it, while it waits for its turn."""


class MergeWanted(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Jobs to merge, in this order: `POST /v1/merges`."""

    jobs: Annotated[list[int], Meta(min_length=1, max_length=MOST_MERGES)]
    into: Annotated[str, Meta(min_length=1, max_length=250)] | None = None
    """A branch. Unset: what the project says, else the one that its checkout is on."""
    checks: list[Annotated[str, Meta(min_length=1)]] | None = None
    """Instead of those that the project says."""
    check_timeout: str | int | None = None
    dry_run: bool = False


class MergeDrop(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Take one out of the queue: `POST /v1/merges/N/drop`."""

    dry_run: bool = False


class MergeForeseen(Struct, frozen=True, kw_only=True):
    """What would become of one of them now, after all that are before it in the queue."""

    job: int
    target: str
    files: int = 0
    """That it would change there."""
    conflicts: list[Conflict] = field(default_factory=list)
    why: str = ""
    """Why it could not be merged, or that there is nothing to merge."""


class MergeQueued(Struct, frozen=True, kw_only=True):
    """What an order to merge did."""

    merges: list[Merge] = field(default_factory=list)
    foreseen: list[MergeForeseen] = field(default_factory=list)
    """For a dry run."""
    action: int | None = None
