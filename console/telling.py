"""What is known of a thing as lines of a preview: facts with names, headings, prose. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from console.format import clean_line, clean_lines, fit
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


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Entry]:
    """A small table: each column as wide as its widest cell."""
    texts = [[clean_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(cell_len(cell) for cell in column) for column in zip(*texts, strict=True)]
    found = []
    for index, row in enumerate(texts):
        line = "  ".join(fit(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        found.append(Entry(((line, Role.MUTED if index == 0 else Role.TEXT),)))
    return found
