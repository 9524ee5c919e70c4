"""How often a costly question may be asked again."""

from __future__ import annotations

#: Seconds between two reads of an order at the least, and how many times its own length a read must be apart.
_LEAST, _TIMES = 1.0, 20.0


class Pace:
    """Spaces the reads of something by what they cost. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._started = float("-inf")
        self._ended = float("-inf")
        self._running = False

    def due(self, now: float) -> bool:
        """May it be read now?"""
        if self._running:
            return False
        took = self._ended - self._started if self._ended > self._started else 0.0
        return now - self._started >= _LEAST and now - self._ended >= _TIMES * took

    def start(self, now: float) -> None:
        self._started, self._running = now, True

    def end(self, now: float) -> None:
        self._ended, self._running = now, False
