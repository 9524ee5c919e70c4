"""What an agent asks before it goes on, in the words of no agent in particular; and what it can be told."""

from __future__ import annotations

from dataclasses import dataclass

from engine.decision import CardKind


@dataclass(frozen=True, slots=True)
class Change:
    """What a file tool would do to one file: the texts that it replaces, or the whole content."""

    path: str
    replaced: tuple[tuple[str, str], ...] = ()
    """Each text, where it is first found, and what comes in its place."""
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that an agent asks. It waits until it has an answer."""

    id: str
    """The agent's own name for it."""
    kind: CardKind
    tool: str
    arguments: bytes
    """JSON, whole."""
    summary: str
    subject: str = ""
    """What rules are held against: a command, a path, an address."""
    shell: bool = False
    """The subject is a command line."""
    path: bool = False
    """The subject is a file's path."""
    why: str = ""
    change: Change | None = None
    options: tuple[str, ...] = ()
    call: str = ""
    """The tool call that it is about, by which its result is known."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer."""

    allow: bool
    words: str = ""
    """Why not; or, of a question, the answer."""
