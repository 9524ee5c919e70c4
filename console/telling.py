"""What is known of a thing as lines of a preview: facts with names, headings, prose. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from console.format import clean_line, clean_lines
from console.roles import Role
from console.transcript import Entry

#: Cells of the names of facts.
_NAMES = 10


def fact(name: str, text: str | None, role: Role = Role.TEXT) -> list[Entry]:
    """`name      text`, or nothing where nothing is known."""
    if not text:
        return []
    return [Entry(((f"{name:<{_NAMES}} ", Role.MUTED), (clean_line(text), role)), wraps=True, indent=_NAMES + 1)]


def heading(text: str) -> list[Entry]:
    """The head of a part, with a line before it."""
    return [Entry(()), Entry(((text, Role.HEADING),))]


def prose(text: str, role: Role = Role.TEXT) -> list[Entry]:
    """A text as it is, its long lines broken."""
    return [Entry(((line, role),), wraps=True) for line in clean_lines(text)]


def lines(texts: Iterable[str], role: Role = Role.TEXT) -> list[Entry]:
    return [Entry(((clean_line(text), role),)) for text in texts]
