"""The ledger against other books: by how much they differ, day by day. Pure.

Days are those of UTC, as providers count them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.money import Drift, Entry, Exported


@dataclass(slots=True)
class Sum:
    """What one book holds of a day."""

    tokens: int = 0
    micros: int | None = None

    def add(self, tokens: int, micros: int | None) -> None:
        self.tokens += tokens
        if micros is not None:
            self.micros = (self.micros or 0) + micros


@dataclass(frozen=True, slots=True)
class Session:
    """One session as the ledger and as its agent have it. Tokens by day."""

    agent: str
    ledger: Mapping[str, int]
    book: Sequence[Entry]
    whole: bool
    """The agent's book holds every call of the model: it must not have less than the ledger either."""
    ledger_micros: int | None = None
    """Of all of it, where that can be held against what the agent says of all of it."""
    book_micros: int | None = None
    last: str = ""
    """Its last day, on which that is counted."""


@dataclass(slots=True)
class _Day:
    ledger: Sum = field(default_factory=Sum)
    book: Sum = field(default_factory=Sum)
    missing: int = 0
    """Tokens by which sessions that ended on this day differ."""


def day_of(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def tokens_of(entry: Entry) -> int:
    usage = entry.usage
    return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def with_books(sessions: Iterable[Session], alarm: float) -> list[Drift]:
    """What the agents' own books say of the sessions that Headway ran."""
    days: dict[tuple[str, str], _Day] = {}
    for one in sessions:
        told: dict[str, int] = {}
        for entry in one.book:
            day = day_of(entry.at) if entry.at is not None else one.last
            told[day] = told.get(day, 0) + tokens_of(entry)
        for day in {*told, *one.ledger}:
            found = days.setdefault((day, one.agent), _Day())
            found.ledger.add(one.ledger.get(day, 0), None)
            found.book.add(told.get(day, 0), None)
        # By the session, and not by its days: the end of an answer may be counted after midnight.
        more = sum(told.values()) - sum(one.ledger.values())
        days.setdefault((one.last, one.agent), _Day()).missing += abs(more) if one.whole else max(0, more)
        if one.book_micros is not None and one.ledger_micros is not None:
            found = days.setdefault((one.last, one.agent), _Day())
            found.ledger.add(0, one.ledger_micros)
            found.book.add(0, one.book_micros)
    return [
        _drift(day, agent, found.ledger, found.book, found.missing, alarm)
        for (day, agent), found in sorted(days.items())
    ]


def with_export(ledger: Mapping[str, Sum], exported: Sequence[Exported], name: str, alarm: float) -> list[Drift]:
    """What a provider has counted. Only of days that it names: the export may be of a part of the time."""
    found = []
    for one in exported:
        mine = ledger.get(one.day, Sum(0, 0))
        known = Sum(mine.tokens if one.tokens is not None else 0, mine.micros if one.micros is not None else None)
        theirs = Sum(one.tokens or 0, one.micros)
        found.append(_drift(one.day, name, known, theirs, abs(known.tokens - theirs.tokens), alarm))
    return found


def _drift(day: str, book: str, ledger: Sum, other: Sum, missing: int, alarm: float) -> Drift:
    """`missing`: the tokens by which they differ. The larger share counts, of tokens or of money."""
    shares = [_share(missing, ledger.tokens, other.tokens)]
    if other.micros is not None:
        shares.append(_share(abs((ledger.micros or 0) - other.micros), ledger.micros or 0, other.micros))
    share = max(shares)
    return Drift(
        day=day,
        book=book,
        ledger_tokens=ledger.tokens,
        book_tokens=other.tokens,
        ledger_micros=ledger.micros if other.micros is not None else None,
        book_micros=other.micros,
        share=share,
        over=share > alarm / 100,
    )


def _share(difference: int, one: int, other: int) -> float:
    return difference / max(one, other, 1) if difference else 0.0
