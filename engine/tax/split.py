"""Which part of what a job's attempts have used was useful. Pure.

Work is kept where the newest attempt goes on from it: in the same session, in a fork of it, or in a new one that was
handed its state. Whatever no attempt went on from was done in vain, and so was all of a job that came to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from engine.model import Failure, Grade, State
from engine.model.tax import Part

_GRADES = list(Grade)


@dataclass(frozen=True, slots=True)
class Charge:
    """Something that an attempt used. `at`, milliseconds UTC; money in micro-dollars."""

    at: int
    tokens: int
    cost: int | None = None
    grade: Grade = Grade.UNKNOWN


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a job. Times are milliseconds UTC."""

    number: int
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    succeeded: bool = False
    failure: Failure | None = None
    session: str | None = None
    resumes: str | None = None
    handed: int | None = None
    """Tokens of the hand-off that it began with; None where it had none."""
    told: Mapping[Part, int] = field(default_factory=dict)
    """Tokens of what else it began with beside its task, by what that was."""
    set_back: bool = False
    """Its workspace was set back after it."""
    charges: Sequence[Charge] = ()

    @property
    def ms(self) -> int:
        """How long it ran."""
        return 0 if self.started_at is None or self.ended_at is None else max(0, self.ended_at - self.started_at)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what was spent, all of one sort and one moment."""

    part: Part
    at: int
    attempts: int = 0
    tokens: int = 0
    cost: int | None = None
    grade: Grade = Grade.REPORTED
    ms: int = 0
    failure: Failure | None = None


@dataclass(slots=True)
class Sum:
    """Pieces added up."""

    attempts: int = 0
    tokens: int = 0
    cost: int | None = None
    grade: Grade = field(default=Grade.REPORTED)
    ms: int = 0

    def add(self, piece: Piece) -> None:
        self.attempts += piece.attempts
        self.tokens += piece.tokens
        self.ms += piece.ms
        if piece.cost is not None:
            self.cost = (self.cost or 0) + piece.cost
        self.grade = max(self.grade, piece.grade, key=_GRADES.index)


def kept(tries: Sequence[Try]) -> set[int]:
    """The numbers of the attempts whose work the newest one goes on from, that one included. `tries`: oldest first."""
    found: set[int] = set()
    sessions: set[str] = set()
    handed = True
    for one in reversed(tries):
        if one.started_at is None and one.ended_at is not None:
            continue  # it never ran
        if one.set_back and found:
            handed = False  # of what was done up to here, nothing is left but words
        if handed or one.session in sessions:
            found.add(one.number)
            sessions |= {name for name in (one.session, one.resumes) if name is not None}
            handed = one.handed is not None
    return found


def pieces(tries: Sequence[Try], state: State, role: Part | None = None) -> Iterator[Piece]:
    """All that the attempts of a job in that state have used, told apart. `tries`: oldest first.

    `role`: what the job is for, where it is not there for its own sake.
    """
    good = kept(tries)
    for one in tries:
        part = role or _part(one, good, state)
        yield Piece(part, one.ended_at or one.created_at, attempts=1, ms=one.ms, failure=one.failure)
        left = {Part.HAND_OFFS: one.handed or 0, **one.told} if part is Part.USEFUL else {}
        for charge in one.charges:
            yield from _charged(charge, left, part, one.failure)


def _part(one: Try, good: set[int], state: State) -> Part:
    if state is State.FAILED:
        return Part.FAILED
    if state is State.CANCELLED:
        return Part.CANCELLED
    return Part.USEFUL if one.number in good else Part.RETRIES


def _charged(charge: Charge, left: dict[Part, int], part: Part, failure: Failure | None) -> Iterator[Piece]:
    """A charge, with the tokens of it by which the attempt was told something, and their share of the money, apart.

    `left`: what of that was in no charge yet; it is taken from there.
    """
    tokens, cost = charge.tokens, charge.cost
    grade = charge.grade
    for about in list(left):
        told = min(left[about], tokens)
        left[about] -= told
        if told <= 0:
            continue
        grade = max(charge.grade, Grade.ESTIMATED, key=_GRADES.index)  # nobody has counted its tokens
        share = None if charge.cost is None else charge.cost * told // charge.tokens
        yield Piece(about, charge.at, tokens=told, cost=share, grade=grade)
        tokens -= told
        cost = None if cost is None else cost - (share or 0)
    yield Piece(part, charge.at, tokens=tokens, cost=cost, grade=grade, failure=failure)


def waits(tries: Sequence[Try]) -> Iterator[tuple[Try, int]]:
    """Each attempt that another one followed, with the milliseconds until that was begun."""
    for one, other in pairwise(tries):
        if one.ended_at is not None:
            yield one, max(0, other.created_at - one.ended_at)
