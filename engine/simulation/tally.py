"""What a simulated day came to, counted while it is played."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from enum import IntEnum


class Load(IntEnum):
    """What the control plane does."""

    SUBMITS = 0
    CLAIMS = 1
    SETTLES = 2
    EVENTS = 3
    """Lines of the log."""
    ROUNDS = 4
    """Looks at the queue."""


@dataclass(slots=True)
class Tally:
    """Counts by the second, and by the kind of job. Times are milliseconds UTC."""

    zero: int
    span: int
    seconds: list[array[int]] = field(default_factory=list)
    waits: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """From coming to the first attempt."""
    flows: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """From coming to done."""
    ends: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Attempts by how they ended."""
    refused: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Calls, by how they were answered."""
    busy: int = 0
    """Milliseconds of slots that were taken."""
    offered: int = 0
    """Milliseconds of slots that there were."""
    most: int = 0
    """Attempts at once."""
    _since: int = 0

    def __post_init__(self) -> None:
        self._since = self.zero
        self.seconds = [array("I", bytes(4 * (self.span // 1000 + 1))) for _ in Load]

    def count(self, what: Load, now: int, number: int = 1) -> None:
        self.seconds[what][(now - self.zero) // 1000] += number

    def hold(self, now: int, running: int, slots: int) -> None:
        """So many attempts have run on so many slots since the last call."""
        took = now - self._since
        self.busy += running * took
        self.offered += slots * took
        self.most = max(self.most, running)
        self._since = now
