"""The noun: a persona as it was found, and its head as its file says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from engine.config import SessionSettings
from engine.model import TAG, Permission

FILE = "PERSONA.md"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"  #: that of its folder, and of its scope in memory

Name = Annotated[str, Meta(pattern=NAME)]
Line = Annotated[str, Meta(min_length=1, max_length=1_000)]


class Source(StrEnum):
    """Whose folder a persona was found in. The first of the same name stands."""

    PROJECT = "project"
    HOME = "home"
    USER = "user"


class Remembers(StrEnum):
    """Scopes of memory that it is told."""

    GLOBAL = "global"
    PROJECT = "project"
    PERSONA = "persona"


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands between the two lines of `---`. All that is left out is as it is without a persona."""

    name: Name
    description: Annotated[str, Meta(min_length=1, max_length=1_024)]
    voice: Annotated[str, Meta(max_length=1_000)] = ""
    """How it speaks, in a line; more of it stands in the text."""
    rules: Annotated[list[Line], Meta(max_length=50)] = field(default_factory=list)
    """What it always does, or never."""
    route: Annotated[str, Meta(pattern=TAG)] | None = None
    agent: str | None = None
    model: str | None = None
    account: str | None = None
    permission: Permission | None = None
    skills: list[Annotated[str, Meta(min_length=1, max_length=64)]] = field(default_factory=list)
    memory: list[Remembers] | Literal["off"] | None = None
    """The scopes that it is told; unset is all of them."""
    session: SessionSettings | None = None
    """When one of its sessions has served long enough."""


class Persona(Struct, frozen=True, kw_only=True):
    """A folder with a PERSONA.md."""

    name: str
    path: str
    """Its PERSONA.md."""
    source: Source
    head: Head | None = None
    """None where it cannot be read."""
    text: str = ""
    """What stands below the head."""
    tokens: int = 0
    """Of voice, rules and text together, about."""
    sha256: str = ""
    """Of the file."""
    problem: str | None = None
    """Why no job can have it."""
    warnings: list[str] = field(default_factory=list)
    shadows: list[str] = field(default_factory=list)
    """The PERSONA.md of those with its name that it stands before."""

    @property
    def description(self) -> str:
        return self.head.description if self.head is not None else ""

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]
