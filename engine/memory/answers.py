"""What is asked of memory and what it answers, as it crosses the socket."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.memory.item import Draft, Item, Share, Subject, Text
from engine.memory.judgement import Terms
from engine.memory.store import Backend


class Verb(StrEnum):
    """What can be done to things that are remembered."""

    EDIT = "edit"
    VERIFY = "verify"
    """Somebody looked: it holds."""
    CONTRADICT = "contradict"
    """Somebody looked: it does not seem to hold. It is trusted less."""
    ACCEPT = "accept"
    """What was proposed is told from now on."""
    RETRACT = "retract"
    """It was wrong: it is found no more, and kept."""
    RESTORE = "restore"
    """It holds again."""
    SUPERSEDE = "supersede"
    """Another one, in `by`, has taken its place."""


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Body of `POST /v1/memory/change`. What is not given stays as it is."""

    ids: Annotated[list[int], Meta(min_length=1, max_length=10_000)]
    verb: Verb
    by: int | None = None
    text: Text | None = None
    subject: Subject | None = None
    tags: list[str] | None = None
    importance: Share | None = None
    valid_to: int | None = None
    verify_by: int | None = None
    dry_run: bool = False


class Remember(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Body of `POST /v1/memory`."""

    drafts: Annotated[list[Draft], Meta(min_length=1, max_length=10_000)]
    dry_run: bool = False


class Import(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Body of `POST /v1/memory/import`: items as an export has them."""

    items: Annotated[list[Item], Meta(max_length=1_000_000)]
    dry_run: bool = False


class Forget(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Body of `POST /v1/memory/forget`."""

    ids: Annotated[list[int], Meta(min_length=1, max_length=10_000)]
    dry_run: bool = False


class CoreText(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Body of `PUT /v1/memory/core`: the whole of a core file."""

    scope: str
    text: str


class Migrate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /v1/memory/migrate`."""

    to: Backend


class What(StrEnum):
    """What became of a draft."""

    ADDED = "added"
    MERGED = "merged"
    """It was known: that is verified by it."""


class Written(Struct, frozen=True, kw_only=True):
    """A draft's end."""

    what: What
    item: Item
    superseded: list[int] = field(default_factory=list)
    """What it took the place of."""


class Forgotten(Struct, frozen=True, kw_only=True):
    """What was removed, and where copies may be that are not memory's."""

    ids: list[int]
    told: list[str] = field(default_factory=list)
    """Attempts that were told it, as `J12 attempt 1`: their run directories hold what they were told."""
    jobs: list[int] = field(default_factory=list)
    """Jobs that it came from: their record may hold the same words."""
    pending: bool = False
    """Another program reads memory.db: its journal holds the text until that has ended."""


class Imported(Struct, frozen=True, kw_only=True):
    added: int
    known: int
    """That were there already, word for word."""


class CorePart(Struct, frozen=True, kw_only=True):
    """A core file as far as it is told."""

    scope: str
    path: str
    text: str
    tokens: int
    lines: int
    """Of the file."""
    cut: int = 0
    """Lines past the cap, which are not told."""


class Part(Struct, frozen=True, kw_only=True):
    """One thing that was recalled."""

    item: Item
    tokens: int
    reason: str
    terms: Terms

    @property
    def score(self) -> float:
        return self.terms.score


class Recalled(Struct, frozen=True, kw_only=True):
    """What is known of a question, the best first."""

    question: str
    scopes: list[str]
    parts: list[Part] = field(default_factory=list)
    core: list[CorePart] = field(default_factory=list)
    tokens: int = 0
    """Of all of it."""
    model: str | None = None
    """What the vectors are of; None where only words were compared."""
    without: str = ""
    """What it had to do without, and why."""
    left: int = 0
    """Things that would have been told, and for which there was no room."""


class ItemDetail(Struct, frozen=True, kw_only=True):
    """One thing with where it was told."""

    item: Item
    uses: list[str] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    """What it took the place of."""


class MemoryStatus(Struct, frozen=True, kw_only=True):
    """What there is, and what finds it."""

    backend: Backend
    items: int
    embedded: int
    model: str | None
    bytes: int
    without: str = ""
    problem: str = ""
    moving: Backend | None = None
    """A migration to there has begun and is not done."""


class Moved(Struct, frozen=True, kw_only=True):
    """How far a migration is."""

    to: Backend
    done: int
    total: int
    more: bool = False
    """Ask again."""
