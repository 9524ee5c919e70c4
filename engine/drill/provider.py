"""A provider for a recorded day: it answers calls of a model or refuses them, and keeps the bill. No clock of its own.

What it knows is the truth. What it tells are the readings that an agent prints, and those can be false.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from engine.rehearsal.day import Day, Plan, Quota, Trouble
from engine.units import milliseconds

MOST_TOLD = 0.99  #: of a window that still serves: it is closed by what comes after


class Verdict(StrEnum):
    """What becomes of one call."""

    SERVED = "served"
    CLOSED = "closed"
    """The account's window is used up."""
    BURST = "burst"
    """Too many requests, without a word of when that ends."""
    OUTAGE = "outage"


Closure = tuple[str, int]  #: an account, and which of its windows is closed


@dataclass(frozen=True, slots=True)
class Answer:
    verdict: Verdict
    used: float = 0.0
    """Share of the window."""
    resets_at: int | None = None
    """When the provider says that it opens again, milliseconds UTC; None where it does not say."""
    closure: Closure | None = None
    latest: int = 0
    """The latest moment at which a window of its length, closed now, can open."""

    @property
    def credible(self) -> int | None:
        """What is told of the end, where that can be."""
        return self.resets_at if self.resets_at is not None and self.resets_at <= self.latest else None


@dataclass(frozen=True, slots=True)
class _Facts:
    """An account as milliseconds: it is asked for at every call."""

    quota: Quota
    first: int
    """When its first window of the day ends, UTC."""
    every: int
    bursts: list[range]
    outages: list[range]

    @classmethod
    def of(cls, plan: Plan, name: str) -> _Facts:
        day, quota = plan.day, plan.accounts[name].quota
        first = day.zero + milliseconds(quota.first)
        bursts, outages = _times(day, name, day.bursts), _times(day, name, day.outages)
        return cls(quota, first, milliseconds(quota.every), bursts, outages)


def _times(day: Day, account: str, troubles: list[Trouble]) -> list[range]:
    begins = [(day.zero + milliseconds(one.begins), one) for one in troubles if account in one.accounts]
    return [range(begin, begin + milliseconds(one.lasts)) for begin, one in begins]


class Provider:
    """The state of all accounts over one day."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._facts = {name: _Facts.of(plan, name) for name in plan.accounts}
        self._used: dict[Closure, int] = defaultdict(int)

    def call(self, account: str, now: int) -> Answer:
        """Answer one call. Only what is served is charged."""
        facts = self._facts[account]
        if _within(facts.outages, now):
            return Answer(Verdict.OUTAGE)
        closure = account, self.window(account, now)
        quota = facts.quota
        resets = self.told(closure, now) if quota.told else None
        if self._used[closure] >= quota.calls:
            return Answer(Verdict.CLOSED, 1.0, resets, closure, now + facts.every)
        if _within(facts.bursts, now):
            return Answer(Verdict.BURST)
        self._used[closure] += 1
        return Answer(Verdict.SERVED, min(MOST_TOLD, self._used[closure] / quota.calls), resets)

    def serves(self, account: str, now: int) -> bool:
        """Whether a call would be answered."""
        used = self._used[account, self.window(account, now)]
        return used < self._facts[account].quota.calls and not self.troubled(account, now)

    def window(self, account: str, now: int) -> int:
        """Which window of an account a moment falls into; 0 is the first of the day."""
        facts = self._facts[account]
        return (now - facts.first) // facts.every + 1

    def opens(self, closure: Closure) -> int:
        """When a window gives way to the next one."""
        facts = self._facts[closure[0]]
        return facts.first + closure[1] * facts.every

    def told(self, closure: Closure, now: int) -> int:
        """When it says that the window opens."""
        truth = self.opens(closure)
        for one in self.plan.day.false_resets:
            if (one.account, one.window) == closure and now < truth + one.shift:
                return truth + one.shift
        return truth

    def troubled(self, account: str, now: int) -> bool:
        """Whether every call is refused, whatever its windows say."""
        facts = self._facts[account]
        return _within(facts.outages, now) or _within(facts.bursts, now)

    def shut(self, account: str, begin: int, end: int) -> bool:
        """Whether one burst or outage lasts for all of this time."""
        facts = self._facts[account]
        return any(begin in one and end - 1 in one for one in (*facts.bursts, *facts.outages))


def _within(times: list[range], now: int) -> bool:
    return any(now in one for one in times)
