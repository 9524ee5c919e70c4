"""How late the event loop is: the pauses of a task that sleeps anyway, held against how long they were to be."""

from __future__ import annotations

from collections import deque

KEPT = 1_200  #: pauses: about a minute of them while agents speak


class Pulse:
    """The newest pauses of one loop."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=KEPT)

    def beat(self, asked: float, took: float) -> None:
        """A pause of `asked` seconds has taken `took`."""
        self._late.append(max(0.0, took - asked))

    def lag(self, share: float) -> float:
        """Seconds that no more than this share of them was late by; 0 where there was none."""
        ranked = sorted(self._late)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0
