"""Money and tokens: what one message cost, and how sums are graded. Frozen types, no I/O.

Money is integer micro-dollars, times are milliseconds UTC, as in `engine.model`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from engine.model import Grade, Usage

#: The kinds of tokens that add up. The last two are parts of kinds before them.
TOKENS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens",
)  # fmt: skip
_GRADES = list(Grade)


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the ledger: what a message used, or what an agent's total has beyond its messages.

    The latter may be less than nothing, where the messages said too much.
    """

    message: str
    """The provider's own name for it, or one that begins with `/` and means something within its attempt alone."""
    usage: Usage
    """Its money is what the agent said of it; None where that is for the price table to say."""
    final: bool = True
    """Its tokens are all told; else more may have been used."""
    at: int | None = None
    """When it was answered, where the agent says so."""
    price: str | None = None
    """The price table that its money was computed by; None where the agent told it, or nobody knows it."""
    of_session: str | None = None
    """It is the total of this whole session: the part that the ledger has not seen yet is what counts."""


def worst(grades: Iterable[Grade]) -> Grade:
    """The grade of a sum."""
    return max(grades, key=_GRADES.index, default=Grade.REPORTED)


def total(usages: Iterable[Usage], model: str) -> Usage:
    """The sum of usages, under the worst grade of their money. None where no money is known."""
    parts = list(usages)
    known = [one.cost_micros for one in parts if one.cost_micros is not None]
    grade = worst(Grade.UNKNOWN if one.cost_micros is None else one.grade for one in parts)
    tokens = {name: sum(getattr(one, name) for one in parts) for name in TOKENS}
    return Usage(model=model, **tokens, cost_micros=sum(known) if known else None, grade=grade)


def less(one: Usage, other: Usage) -> Usage:
    """The tokens of one without those of another, below zero too; the money stays."""
    return replace(one, **{name: getattr(one, name) - getattr(other, name) for name in TOKENS})


class By(StrEnum):
    """What a report puts together."""

    DAY = "day"
    PROJECT = "project"
    ACCOUNT = "account"
    TARGET = "target"
    MODEL = "model"
    KIND = "kind"
    JOB = "job"


class Quota(Struct, frozen=True, kw_only=True):
    """The newest reading of a window of a subscription."""

    window: str
    used: float | None
    resets_at: int | None
    observed_at: int


class SpendLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a report: what was used, and what that cost."""

    name: str
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micros: int | None = None
    """None where no part of it has a known price."""
    grade: Grade = Grade.REPORTED
    unpriced_tokens: int = 0
    """Of them all, those whose price nobody knows: the sum of the money is too small by what they cost."""
    subscription: bool = False
    """A subscription pays: the money is what the same would have cost by the API."""
    quota: list[Quota] = field(default_factory=list)
    """How much of its windows such an account has used."""

    @property
    def told_tokens(self) -> int:
        """Everything that the models were told, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


class Spend(Struct, frozen=True, kw_only=True):
    """A report of what was used and spent from a time on."""

    by: By
    since: int
    until: int
    lines: list[SpendLine]
    total: SpendLine
    unpriced: list[str] = field(default_factory=list)
    """The models whose price nobody knows."""
    tables: list[str] = field(default_factory=list)
    """The price tables that sums of it were computed by."""


class Exported(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a provider says of one day in UTC. None where it says nothing of it."""

    day: str
    tokens: int | None = None
    micros: int | None = None


class Reconcile(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the ledger is to be held against: body of `POST /v1/spend/reconcile`."""

    since: str | None = None
    threshold: float | None = None
    """Per cent; unset is `spend: alarm` of the settings."""
    export: list[Exported] = field(default_factory=list)
    name: str = "export"
    """What the export is called."""
    provider: str | None = None
    """Whose export it is: anthropic, openai, google. Only what was spent there is held against it."""


class Drift(Struct, frozen=True, kw_only=True):
    """By how much another book differs from the ledger on one day in UTC."""

    day: str
    book: str
    """The agent whose own records it is, or the export."""
    ledger_tokens: int
    book_tokens: int
    ledger_micros: int | None
    book_micros: int | None
    share: float
    """The larger of the two: tokens or money, of 1."""
    over: bool


class Reconciled(Struct, frozen=True, kw_only=True):
    """What came of it."""

    lines: list[Drift]
    alarm: float
    """Per cent."""
    sessions: int
    """So many sessions had a book of their own."""
    missing: int
    """And so many had none any more."""

    @property
    def over(self) -> bool:
        return any(one.over for one in self.lines)
