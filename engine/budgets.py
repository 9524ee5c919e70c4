"""Budgets: how much may be spent where, and how much of it is. Frozen types, no I/O.

Money is micro-dollars, times are milliseconds UTC, as in `engine.model`.
"""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct

from engine.model import Grade

JOB = "job"  #: the scope of every job's own budget where it names none; that of J12 is `job:12`
DAY = "day"  #: the scope of everything, by the day
UNIT = 1_000_000  #: micro-dollars in a dollar

_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?"
_DOLLARS = re.compile(rf"\$?\s*{_NUMBER}")
_TOKENS = re.compile(rf"{_NUMBER}\s*([kKmMgG]?)\s*tok(?:en)?s?")
_MANY = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_MOST = 10**15  #: of either: more is a slip of the finger


class Amount(Struct, frozen=True, omit_defaults=True):
    """Money or tokens, one of the two. Tokens are all that the models were told and have answered."""

    micros: int | None = None
    tokens: int | None = None

    def __str__(self) -> str:
        if self.tokens is not None:
            return f"{self.tokens:,} tokens"
        whole, cents = f"{(self.micros or 0) / UNIT:,.6f}".split(".")
        return f"${whole}.{cents.rstrip('0'):0<2}"

    def of(self, micros: int, tokens: int) -> int:
        """Of what was spent, the part that this is a measure of."""
        return tokens if self.tokens is not None else micros

    @property
    def value(self) -> int:
        return self.tokens if self.tokens is not None else self.micros or 0

    def plus(self, more: Amount | None) -> Amount:
        """Raised by an amount of the same kind; one of the other kind raises nothing."""
        if more is None:
            return self
        if self.tokens is not None:
            return Amount(tokens=self.tokens + (more.tokens or 0))
        return Amount(micros=(self.micros or 0) + (more.micros or 0))

    @classmethod
    def parse(cls, text: str | float) -> Amount:
        """Read `$2`, `2.5` (dollars) or `200k tokens`. Raises `ValueError` in plain words."""
        word = str(text).strip()
        if (found := _TOKENS.fullmatch(word)) is not None:
            return cls(tokens=_within(word, _number(found) * _MANY[found[3].lower()]))
        if (found := _DOLLARS.fullmatch(word)) is not None:
            return cls(micros=_within(word, _number(found) * UNIT))
        raise ValueError(f"{str(text)[:60]!r} is no amount; write $2, 2.50 or 200k tokens")


def _number(found: re.Match[str]) -> float:
    return float(found[1].replace(",", "") + (found[2] or ""))


def _within(word: str, value: float) -> int:
    if value > _MOST:  # so is an infinity, of which no integer can be made
        raise ValueError(f"{word[:60]!r} is more than anybody has")
    return round(value)


class Per(StrEnum):
    """When a budget begins anew, in the machine's own zone."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    EVER = "ever"
    """Never."""


class Standing(StrEnum):
    """How a budget stands."""

    OPEN = "open"
    WARNED = "warned"
    USED_UP = "used_up"
    UNCAPPED = "uncapped"
    """The operator lets it go on without its cap."""


class BudgetLine(Struct, frozen=True, kw_only=True):
    """One budget in its present period."""

    scope: str
    per: Per
    since: int
    until: int | None
    warn: Amount | None
    cap: Amount | None
    """With what the operator has allowed beyond it."""
    allowed: Amount | None
    spent_micros: int
    spent_tokens: int
    grade: Grade
    """Unknown where tokens without a price are among them: a cap in dollars does not see those."""
    standing: Standing
    source: str
    """`headway.yaml`, the job itself, or how it came about."""


class Allow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The operator allows more than a budget says: body of `POST /v1/budgets`."""

    scope: str
    amount: str | None = None
    """So much more; unset is without a cap, for as long as the period goes on."""
