"""A span and a figure as the engine draws them, before any library sees them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

Value = str | int | float | bool
Attributes = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Name:
    """By which a span is known: 16 bytes of its trace and 8 of its own, as integers."""

    trace: int
    span: int


@dataclass(frozen=True, slots=True)
class Span:
    """Something that began and ended. Milliseconds UTC."""

    name: Name
    what: str
    began: int
    ended: int
    parent: Name | None = None
    attributes: Attributes = field(default_factory=dict)
    links: tuple[Name, ...] = ()
    error: str | None = None
    """Why it did not go well; None where it did, or where nobody can say."""
    client: bool = False
    """It is a call of something outside."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One value for one instrument."""

    instrument: str
    value: float
    attributes: Attributes = field(default_factory=dict)


class Names:
    """Names that follow from what a span is of: the next engine gives the same ones, and a job stays one trace."""

    def __init__(self, home: str) -> None:
        self._home = home

    def job(self, job: int, created_at: int, life: int) -> Name:
        """`life`: how often it had been retried by the operator before."""
        trace = _number(16, self._home, job, created_at)
        return Name(trace, _number(8, trace, "job", life))

    def within(self, trace: int, *what: object) -> Name:
        """Of something in that trace."""
        return Name(trace, _number(8, trace, *what))


def _number(size: int, *what: object) -> int:
    """Never zero: that is no name."""
    return int.from_bytes(sha256("\0".join(map(str, what)).encode()).digest()[:size]) or 1
