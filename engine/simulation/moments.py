"""The clock of a simulation: a heap of moments."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Call = Callable[[Any], None]


@dataclass(slots=True)
class Moments:
    """What is to happen, and when. Times are milliseconds UTC."""

    woken: bool = False
    """Something has happened that lets the dispatcher look again."""
    _heap: list[tuple[int, int, Call, Any]] = field(default_factory=list)
    _numbers: int = 0

    def at(self, when: int, call: Call, argument: Any) -> None:
        self._numbers += 1  # of what happens at one moment, what was thought of first comes first
        heapq.heappush(self._heap, (when, self._numbers, call, argument))

    def next(self) -> int | None:
        """The next moment at which something happens."""
        return self._heap[0][0] if self._heap else None

    def happen(self, now: int) -> None:
        """Let all happen that happens by then."""
        while self._heap and self._heap[0][0] <= now:
            _, _, call, argument = heapq.heappop(self._heap)
            call(argument)

    def wake(self) -> None:
        self.woken = True
