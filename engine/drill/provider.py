"""A provider for a recorded day: it answers calls of a model or refuses them, and keeps the bill. No clock of its own.

What it knows is the truth. What it tells are the readings that an agent prints, and those can be false.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from engine.rehearsal.day import Plan, Trouble
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


@dataclass(slots=True)
class Provider:
    """The state of all accounts over one day."""

    plan: Plan
    _used: dict[Closure, int] = field(default_factory=lambda: defaultdict(int))

    def call(self, account: str, now: int) -> Answer:
        """Answer one call. Only what is served is charged."""
        if self.troubled(self.plan.day.outages, account, now):
            return Answer(Verdict.OUTAGE)
        closure = account, self.window(account, now)
        quota = self.plan.accounts[account].quota
        resets = self.told(closure, now) if quota.told else None
        if self._used[closure] >= quota.calls:
            return Answer(Verdict.CLOSED, 1.0, resets, closure)
        if self.troubled(self.plan.day.bursts, account, now):
            return Answer(Verdict.BURST)
        self._used[closure] += 1
        return Answer(Verdict.SERVED, min(MOST_TOLD, self._used[closure] / quota.calls), resets)

    def serves(self, account: str, now: int) -> bool:
        """Whether a call would be answered."""
        closure = account, self.window(account, now)
        if self._used[closure] >= self.plan.accounts[account].quota.calls:
            return False
        day = self.plan.day
        return not (self.troubled(day.outages, account, now) or self.troubled(day.bursts, account, now))

    def window(self, account: str, now: int) -> int:
        """Which window of an account a moment falls into; 0 is the first of the day."""
        quota = self.plan.accounts[account].quota
        return (now - self.plan.day.zero - milliseconds(quota.first)) // milliseconds(quota.every) + 1

    def opens(self, closure: Closure) -> int:
        """When a window gives way to the next one."""
        quota = self.plan.accounts[closure[0]].quota
        return self.plan.day.zero + milliseconds(quota.first) + closure[1] * milliseconds(quota.every)

    def told(self, closure: Closure, now: int) -> int:
        """When it says that the window opens."""
        truth = self.opens(closure)
        for one in self.plan.day.false_resets:
            if (one.account, one.window) == closure and now < truth + one.shift:
                return truth + one.shift
        return truth

    def troubled(self, troubles: list[Trouble], account: str, now: int) -> bool:
        since = now - self.plan.day.zero
        return any(
            account in one.accounts and 0 <= since - milliseconds(one.begins) < milliseconds(one.lasts)
            for one in troubles
        )
