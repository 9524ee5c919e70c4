"""The columns of a list of anything: which there is room for, what they say, how they sort and narrow it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from console.format import clean_line, fit, right
from console.roles import Part, Role

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Field(Generic[R]):
    """One column."""

    name: str
    """Its heading; in lower case what `:sort` and `name:word` in a filter call it."""
    width: int
    """In cells; 0 takes what is left."""
    text: Callable[[R, int], str]
    """What it says of a row at a moment, milliseconds UTC."""
    key: Callable[[R], Any] | None = None
    """What it is sorted by, where that is not its text; rows with None come last."""
    to_right: bool = False
    role: Role | Callable[[R, int], Role] = Role.MUTED
    least: int = 18
    """Of one that takes what is left: the cells that it has before others are shown beside it."""
    drop: int = 0
    """Which goes first where there is no room: the highest. 0 stays always."""


def choose(fields: Sequence[Field[R]], width: int, signs: int) -> list[tuple[Field[R], int]]:
    """The columns for a list of so many cells, in their order, with the width of each."""
    chosen = list(fields)

    def left() -> int:
        fixed = sum(field.width for field in chosen) + len(chosen)
        return width - signs - fixed

    def least() -> int:
        return sum(field.least for field in chosen if field.width == 0)

    while left() < least() and any(field.drop for field in chosen):
        chosen.remove(max(chosen, key=lambda field: field.drop))
    room = max(left(), 1)
    return [(field, field.width or room) for field in chosen]


def head(columns: Sequence[tuple[Field[R], int]], signs: int, sorted_by: str, down: bool) -> list[Part]:
    """The line of names; the one that sorts the list says so."""
    cells = []
    for field, width in columns:
        name = field.name + ("▾" if down else "▴") if field.name == sorted_by else field.name
        cells.append(right(name, width) if field.to_right else fit(name, width))
    return [(" " * signs, Role.MUTED), (" ".join(cells), Role.MUTED)]


def cells(row: R, columns: Sequence[tuple[Field[R], int]], now: int) -> list[Part]:
    """What the columns say of a row, each in its cells."""
    parts: list[Part] = []
    for field, width in columns:
        text = clean_line(field.text(row, now))
        role = field.role if isinstance(field.role, Role) else field.role(row, now)
        parts += [(right(text, width) if field.to_right else fit(text, width), role), (" ", Role.TEXT)]
    return parts


def ordered(rows: Sequence[R], field: Field[R] | None, now: int, *, down: bool) -> list[R]:
    """The rows by a column, those without a value last; without one as they came."""
    if field is None:
        return list(reversed(rows)) if down else list(rows)
    key = field.key or (lambda row: field.text(row, now).lower())
    having = [row for row in rows if key(row) is not None]
    return [*sorted(having, key=key, reverse=down), *(row for row in rows if key(row) is None)]


def matches(row: R, fields: Sequence[Field[R]], text: str, now: int) -> bool:
    """Whether a row has every word of a filter. `name:word` looks in one column only, `!word` is left out."""
    if not text:
        return True
    said = {field.name.lower(): field.text(row, now).lower() for field in fields}
    everything = " ".join(said.values())
    for word in text.lower().split():
        wanted, word = not word.startswith("!"), word.removeprefix("!")
        name, colon, rest = word.partition(":")
        found = rest in said[name] if colon and name in said else word in everything
        if found is not wanted:
            return False
    return True


def named(fields: Sequence[Field[R]], text: str) -> Field[R] | None:
    """The column that a word names, whole or by its beginning."""
    word = text.strip().lower()
    whole = [field for field in fields if field.name.lower() == word]
    begun = [field for field in fields if word and field.name.lower().startswith(word)]
    return next(iter(whole or begun), None)
