"""What is wrong in a document, as lines that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.errors import UsageError
from engine.plain import plain_line
from engine.redact import unkeyed

Keys = tuple[str | int, ...]
"""The way to a value: keys of mappings, and places in lists from 0."""

Complaint = tuple[Keys, str]
"""What is wrong with a value whose type is right: the way to it, and why, in words that go after its key."""

SHOWN = 20  #: mistakes that one message lists; whoever has more mends these first
_WIDTH = 300  #: characters of one: a value may be a page of text


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong."""

    line: int | None
    """From 1; None where there is no text with lines."""
    what: str
    keys: Keys = ()
    """The way to the value in whose place something harmless was put; empty where none was."""


class DocumentError(UsageError):
    """All that is wrong in a document: one line each, by line; past `SHOWN`, how many more there are."""

    def __init__(self, name: str, mistakes: Iterable[Mistake]) -> None:
        self.name = name
        self.mistakes = sorted(dict.fromkeys(mistakes), key=lambda one: one.line or 0)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        told = list(dict.fromkeys(_line(self.name, one) for one in self.mistakes))
        return told if len(told) <= SHOWN else [*told[:SHOWN], f"and {len(told) - SHOWN} more"]


def _line(name: str, mistake: Mistake) -> str:
    place = f", line {mistake.line}" if mistake.line is not None else ""
    return f"{plain_line(name)}{place}: {plain_line(unkeyed(mistake.what), _WIDTH)}"


def path_of(keys: Sequence[str | int]) -> str:
    """The way to a value as an error names it. A place in a list is told by its line alone."""
    return ".".join(key for key in keys if isinstance(key, str))


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint that ends an error: the nearest valid word, or all of them."""
    known = sorted(str(one) for one in words)
    near = difflib.get_close_matches(word, known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
