"""The retry budget of an account: a hundred jobs that fail together do not come back together. Pure.

The generic cell rate algorithm (ITU-T I.371): a burst at once, then one in each interval. It knows no order but that of
time, and retries are booked ahead: so those that are wanted within one hour share a budget, which begins where those of
earlier hours end.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import Settings
from engine.units import milliseconds

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Budget:
    burst: int
    every: int
    """Milliseconds between two retries, once the burst is used up."""

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        return cls(settings.retry_budget.burst, milliseconds(settings.retry_budget.every))


def take(budget: Budget, booked: int, wanted: int) -> tuple[int, int]:
    """Book one retry that is wanted at a time.

    `booked` is the most of what calls for its hour, and for earlier ones, have returned first; 0 for none. Returns what
    to keep of it, and when the retry may come: not before it was wanted. Milliseconds UTC.
    """
    allowed = max(wanted, booked - (budget.burst - 1) * budget.every)
    return max(booked, allowed) + budget.every, allowed
