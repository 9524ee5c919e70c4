"""The hosts: an attempt goes to the one with the fewest, and a host that is lost takes none."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True)
class Host:
    """One machine. `busy` is in milliseconds of attempts."""

    number: int
    slots: int
    running: int = 0
    lost: bool = False
    busy: int = 0
    most: int = 0
    version: int = 0


@dataclass(slots=True)
class Places:
    """All hosts. To find the emptiest costs the logarithm of their number."""

    hosts: list[Host]
    heap: list[tuple[int, int, int]] = field(default_factory=list)
    """Attempts that run on it, its number, its version: what stands under an older one is passed over."""

    @classmethod
    def of(cls, count: int, slots: int) -> Places:
        hosts = [Host(number, slots) for number in range(count)]
        return cls(hosts, [(0, one.number, 0) for one in hosts])

    @property
    def slots(self) -> int:
        return sum(one.slots for one in self.hosts if not one.lost)

    def take(self) -> Host:
        """A slot of the host that has the fewest attempts. There has to be one: the dispatcher's cap sees to that."""
        while True:
            running, number, version = self.heap[0]
            host = self.hosts[number]
            if host.version == version and not host.lost and running < host.slots:
                break
            heapq.heappop(self.heap)
        self._count(host, 1)
        host.most = max(host.most, host.running)
        return host

    def give_back(self, host: Host, took: int) -> None:
        host.busy += took
        self._count(host, -1)

    def lose(self, host: Host) -> None:
        host.lost = True

    def find(self, host: Host) -> None:
        """It is there again."""
        host.lost = False
        self._count(host, 0)

    def _count(self, host: Host, by: int) -> None:
        host.running += by
        host.version += 1
        heapq.heappush(self.heap, (host.running, host.number, host.version))
