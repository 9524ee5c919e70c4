"""Nodes in this process: real sites with homes of their own, and no Ray between them and the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.cluster.site import Site
from engine.cluster.words import NoRoomError, Reserve, Seen, UnreachableError


@dataclass(slots=True)
class Grid:
    """A line to sites. A node can be cut off, started anew, and taken away."""

    home: Path
    connected: bool = True
    trouble: str = ""
    nodes: dict[str, Seen] = field(default_factory=dict)
    rooms: dict[str, tuple[str, Mapping[str, float]]] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)
    """By node, the end of its site: of one that is started anew, the site before it."""
    hung: set[str] = field(default_factory=set)
    """These take every word and answer none."""
    words: list[tuple[str, str]] = field(default_factory=list)
    """What was said to whom."""
    changed: list[Callable[[], None]] = field(default_factory=list)
    joined: int = 0

    def join(self, name: str, labels: dict[str, str] | None = None, **offers: float) -> None:
        """A node, or one of that name again: another site on the same home."""
        self.joined += 1
        offered = {"memory": float(1 << 30), **(offers or {"slots": 2.0})}
        self.nodes[name] = Seen(name, f"id-{self.joined}", "127.0.0.1", offered, labels or {})
        if name in self.ends:
            self.ends[name].set()
        self.sites[name], self.ends[name] = Site(self.home / name), asyncio.Event()
        self.cut.discard(name)
        self.tell()

    def leave(self, name: str) -> None:
        """The cluster says that it has gone. Its processes live on."""
        del self.nodes[name]
        self.tell()

    def tell(self) -> None:
        for one in self.changed:
            one()

    def watch(self, changed: Callable[[], None]) -> None:
        self.changed = [changed]

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def call(self, node: str, verb: str, data: bytes) -> bytes:
        self.words.append((node, verb))
        if node not in self.nodes or node in self.cut:
            raise UnreachableError(f"{node} is not here")
        if node in self.hung:
            await asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(self.sites[node].answer(verb, data))
        ended = asyncio.ensure_future(self.ends[node].wait())
        try:
            await asyncio.wait({asking, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if node in self.cut or not asking.done():
            raise UnreachableError(f"{node} was cut off")
        return asking.result()

    async def reserve(self, key: str, wish: Reserve) -> str:
        for name, seen in self.nodes.items():
            taken = [used for on, used in self.rooms.values() if on == name]
            fits = all(
                sum(used.get(one, 0.0) for used in taken) + count <= seen.offers.get(one, 0.0)
                for one, count in wish.resources.items()
            )
            if name in wish.among and fits and wish.labels.items() <= seen.labels.items():
                self.rooms[key] = name, wish.resources
                return name
        raise NoRoomError("no node had room")

    async def free(self, *keys: str, others: bool = False) -> None:
        for key in set(self.rooms) - set(keys) if others else keys:
            self.rooms.pop(key, None)
