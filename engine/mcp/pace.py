"""How often an attempt may call: a bucket that fills again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """So many calls at once, and as many in a minute after that. Times in seconds, by any clock that goes forward."""

    calls: int
    left: float
    at: float

    @classmethod
    def of(cls, calls: int, now: float) -> Pace:
        return cls(calls, float(calls), now)

    def take(self, now: float) -> float:
        """Seconds to wait before the next call; 0 where this one may be made, which is counted then."""
        self.left = min(float(self.calls), self.left + max(0.0, now - self.at) * self.calls / 60)
        self.at = max(self.at, now)
        if self.left < 1:
            return (1 - self.left) * 60 / self.calls
        self.left -= 1
        return 0.0
