"""The provider's side of an account: how much of its windows is used, and what it answers. No clock of its own.

Calls are a fluid: an account with so many attempts at work uses that many calls in the time of one. So nothing has to
happen for each call, of which a day of ten thousand agents has thirty million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from engine.simulation.scenario import Quota
from engine.units import milliseconds

#: A window counts as used up where less than this part of a call is left: the clock has whole milliseconds.
REST = 1e-6


class Answer(StrEnum):
    """What becomes of a call."""

    SERVED = "served"
    CLOSED = "closed"
    """A window is used up."""
    OUTAGE = "outage"


@dataclass(slots=True)
class Meter:
    """One window of an account. Times are milliseconds UTC."""

    name: str
    calls: int
    every: int
    ends: int
    told: bool
    used: float = 0.0
    closed: bool = False
    closures: int = 0
    shut_ms: int = 0
    """For how long it has been closed."""
    filled: float = 0.0
    """Shares of the windows that are over, added up."""
    windows: int = 0
    """That are over."""
    closed_at: int = 0

    @property
    def share(self) -> float:
        return min(1.0, self.used / self.calls)

    def threshold(self) -> float:
        """Calls until the next whole percent of it is used."""
        percent = int(self.share * 100 + REST)
        return max(0.0, min(self.calls, (percent + 1) * self.calls / 100) - self.used)

    def roll(self, now: int) -> bool:
        """Begin the windows that have begun since. Whether one has."""
        rolled = False
        while self.ends <= now:
            if self.closed:
                self.shut_ms += self.ends - self.closed_at
            self.filled += self.share
            self.windows += 1
            self.ends += self.every
            self.used, self.closed, rolled = 0.0, False, True
        return rolled


def meter(quota: Quota, zero: int, phase: float) -> Meter:
    """The meter of a window at the beginning. `phase`, 0 to 1: which part of its first window is still to come."""
    every = milliseconds(quota.every)
    return Meter(quota.window, quota.calls, every, zero + max(1, round(every * phase)), quota.told)


@dataclass(slots=True)
class Supply:
    """An account at its provider."""

    call_ms: int
    meters: list[Meter]
    outages: Sequence[range] = ()
    at: int = 0
    """Up to when its use is counted, milliseconds UTC."""
    working: int = 0
    """Attempts whose calls are served."""
    served: float = 0.0
    """Calls, in all."""
    _closing: list[Meter] = field(default_factory=list)

    def advance(self, now: int) -> None:
        """Count what has been used until now. Whoever changes `working` does this first, and every window's end too."""
        if self.is_open and not self.is_out(self.at):
            calls = self.working * (now - self.at) / self.call_ms
            self.served += calls
            for one in self.meters:
                one.used += calls
        self.at = now
        for one in self.meters:
            one.roll(now)
            if not one.closed and one.used >= one.calls - REST:
                one.closed, one.closed_at = True, now
                one.closures += 1
                one.used = float(one.calls)

    @property
    def is_open(self) -> bool:
        return not any(one.closed for one in self.meters)

    def is_out(self, now: int) -> bool:
        return any(now in one for one in self.outages)

    def answer(self, now: int) -> Answer:
        """What a call gets. `advance` has been called for this moment."""
        if self.outages and self.is_out(now):
            return Answer.OUTAGE
        return Answer.SERVED if self.is_open else Answer.CLOSED

    def next_percent(self, now: int) -> int | None:
        """When the next percent of a window is used, or the whole of it, if all goes on as it does."""
        if not self.working or not self.meters or not self.is_open or self.is_out(now):
            return None
        calls = min(one.threshold() for one in self.meters)
        return now + max(1, int(calls * self.call_ms / self.working) + 1)

    def reopens(self) -> int | None:
        """When the provider serves again, as it tells; None where it tells nothing."""
        ends = [one.ends for one in self.meters if one.closed]
        return max(ends) if ends and all(one.told for one in self.meters if one.closed) else None
