"""What is remembered: one thing, its kind, its state, whose it is, and where it comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

GLOBAL = "global"  #: the scope that holds everywhere
PROJECT = "project:"  #: and a directory
PERSONA = "persona:"  #: and a name
READER = "memory"  #: the kind of the jobs in which a model reads ended ones; they are told and taught nothing
TEXT_LIMIT = 8_000  #: characters of one thing; what is longer is a document and belongs into the project
DAY_MS = 86_400_000


class Kind(StrEnum):
    """What sort of thing it is."""

    FACT = "fact"
    DECISION = "decision"
    PREFERENCE = "preference"
    OUTCOME = "outcome"
    """How a job ended."""
    EPISODE = "episode"
    """A piece of a conversation or of a hand-off."""
    PROCEDURE = "procedure"
    """How something is done, learned from what was done."""


class Standing(StrEnum):
    """Whether it holds. Time alone changes none of these: `due` and `expired` are told from the dates."""

    ACTIVE = "active"
    PROPOSED = "proposed"
    """Nobody has accepted it yet: it is told to no job."""
    SUPERSEDED = "superseded"
    """Another one has taken its place."""
    RETRACTED = "retracted"
    """It was wrong. It is kept, and found no more."""


FOUND = frozenset({Standing.ACTIVE, Standing.SUPERSEDED})  #: what a search can find

Share = Annotated[float, Meta(ge=0, le=1)]
Scope = Annotated[
    str, Meta(pattern=r"^(global|project:/.*|persona:[A-Za-z0-9][A-Za-z0-9._-]{0,63})\Z", max_length=4_200)
]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT)]
Subject = Annotated[str, Meta(min_length=1, max_length=200)]
Note = Annotated[str, Meta(min_length=1, max_length=500)]


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where something comes from."""

    by: Annotated[str, Meta(min_length=1, max_length=100)] = "operator"
    """`operator`, `outcome`, `handoff`, `import`, or the name of an agent."""
    job: int | None = None
    attempt: int | None = None
    """Its number among those of the job."""
    evidence: Annotated[list[Note], Meta(max_length=20)] = field(default_factory=list)
    """A file with a line, a commit, a run directory: where one can look it up."""


class Item(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is remembered. Times are milliseconds UTC."""

    id: int
    scope: Scope
    kind: Kind
    text: Text
    created_at: int
    updated_at: int
    standing: Standing = Standing.ACTIVE
    subject: Subject | None = None
    """What it is about: of two things about one subject in one scope, the newer one holds."""
    tags: Annotated[list[Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}\Z")]], Meta(max_length=20)] = (
        field(default_factory=list)
    )
    valid_from: int | None = None
    valid_to: int | None = None
    """From then on it does not hold any more."""
    verify_by: int | None = None
    """From then on somebody should look whether it still holds."""
    superseded_by: int | None = None
    importance: Share = 0.5
    use_count: int = 0
    """How often it was told to a job."""
    last_used_at: int | None = None
    helped: int = 0
    """Jobs that it was told to and that succeeded."""
    failed: int = 0
    verified_count: int = 0
    contradicted_count: int = 0
    last_verified_at: int | None = None
    source: Source = field(default_factory=Source)
    transcript: str | None = None
    """Of an episode: the conversation that it is a piece of,"""
    position: int | None = None
    """and its place in that."""
    embed_model: str | None = None
    """What its vector was made with; None where it has none."""
    embed_dim: int | None = None

    @property
    def found(self) -> bool:
        """A search can find it."""
        return self.standing in FOUND

    @property
    def confirmed_at(self) -> int:
        """When it was last known to hold."""
        return max(self.created_at, self.last_verified_at or 0)

    @property
    def words(self) -> str:
        """What a search looks at."""
        return " ".join(filter(None, (self.subject, self.text, *self.tags)))


class Draft(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something to be remembered: body of `POST /v1/memory`."""

    text: Text
    kind: Kind = Kind.FACT
    scope: Annotated[str, Meta(min_length=1, max_length=4_200)] = GLOBAL
    """`global`, `project:` and a name or a directory, or `persona:` and a name."""
    subject: Subject | None = None
    tags: list[str] = field(default_factory=list)
    importance: Share = 0.5
    valid_to: int | None = None
    verify_by: int | None = None
    supersedes: list[int] = field(default_factory=list)
    proposed: bool = False
    source: Source = field(default_factory=Source)
    transcript: str | None = None
    position: int | None = None
    created_at: int | None = None
    """When it was so; unset is now."""

    def as_item(self, number: int, scope: str, now: int) -> Item:
        """The item that it becomes."""
        at = self.created_at if self.created_at is not None else now
        return Item(
            id=number,
            scope=scope,
            kind=self.kind,
            text=self.text.strip(),
            created_at=at,
            updated_at=now,
            valid_from=at,
            standing=Standing.PROPOSED if self.proposed else Standing.ACTIVE,
            subject=self.subject,
            tags=self.tags,
            importance=self.importance,
            valid_to=self.valid_to,
            verify_by=self.verify_by,
            source=self.source,
            transcript=self.transcript,
            position=self.position,
        )


def width(scope: str) -> int:
    """How far a scope reaches: 0 for a persona, 1 for a project, 2 for everywhere. The narrower one knows better."""
    return 0 if scope.startswith(PERSONA) else 1 if scope.startswith(PROJECT) else 2


def scope_name(scope: str) -> str:
    """A scope in words for a line of a list."""
    kind, _, name = scope.partition(":")
    return name.rstrip("/").rpartition("/")[2] or name if kind == "project" else scope
