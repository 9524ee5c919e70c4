"""The jobs of a lane that may start, kept in their order while time goes on: the rest of their own line. Pure."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from engine.dispatch.order import Line
from engine.store.lanes import Lane
from engine.store.rows import JobRow


@dataclass(slots=True)
class Waiting:
    """Jobs come and go at any place; to take the first costs the logarithm of their number."""

    lane: Lane
    heap: list[tuple[int, int, int, JobRow]] = field(default_factory=list)
    """Rank, id, and the number under which the job was put in: what stands under an older one is passed over."""
    places: dict[int, int] = field(default_factory=dict)
    """By job: the number that counts."""
    line: Line | None = None
    stands: bool = False
    """The line has a head."""
    numbers: int = 0

    def enter(self, row: JobRow) -> bool:
        """Whether the job is the first now."""
        self.numbers += 1
        self.places[row.id] = self.numbers
        heapq.heappush(self.heap, (row.rank, row.id, self.numbers, row))
        return self._settle()

    def leave(self, row: JobRow) -> bool:
        """Whether the job was the first; then the next one is, where there is one."""
        first = self.stands and self.line is not None and self.line.head.id == row.id
        self.places.pop(row.id, None)
        self._settle()
        return first

    def _settle(self) -> bool:
        """Let the first of those that wait head the line. Whether it is another than before."""
        while self.heap and self.places.get(self.heap[0][1]) != self.heap[0][2]:
            heapq.heappop(self.heap)
        stood, self.stands = self.stands, bool(self.heap)
        if not self.heap:
            return False
        first = self.heap[0][3]
        if self.line is None:
            self.line = Line(self.lane, first, self)
        elif stood and self.line.head is first:
            return False
        self.line.head = first
        return True

    def __iter__(self) -> Waiting:
        return self

    def __next__(self) -> JobRow:
        """Asking for the next one takes the head away: it was chosen."""
        self.places.pop(self.heap[0][1], None)
        self._settle()
        if not self.heap:
            raise StopIteration
        return self.heap[0][3]

    def __len__(self) -> int:
        return len(self.places)
