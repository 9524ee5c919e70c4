"""Tells subscribers that something happened, without queues: each reads the log from where it stands.

A slow subscriber therefore costs nothing and loses nothing; it finds more to read when it comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from engine.agents.events import ToolCall, ToolResult
from engine.events import Body, Event
from engine.model import Progress
from engine.tally import Tally

#: A version that no progress is newer than: whoever waits for it waits for events only.
NO_PROGRESS = 1 << 62


@dataclass(slots=True)
class _Moved:
    """A running attempt as it was last reported."""

    version: int
    tell: Callable[[], Progress]
    told: Progress | None = None


class Hub:
    """The newest sequence number, the newest progress of each running attempt, and who waits for more."""

    def __init__(self) -> None:
        self.seq = 0
        self.tally = Tally()
        self._moved: dict[int, _Moved] = {}
        """By attempt, what moved last at the end."""
        self._version = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._watching: list[asyncio.Future[None]] = []
        """Those who wait for progress too: it comes far more often than events, and must not wake the others."""
        self.subscribers = 0
        self.closing = asyncio.Event()
        self.on_tool: Callable[[int, ToolCall | ToolResult], None] | None = None
        """Called with each call of a tool that a running attempt tells, where somebody wants that."""
        self._heeding: dict[object, tuple[tuple[type[Body], ...], Callable[[], None]]] = {}

    def heed(self, kinds: tuple[type[Body], ...], call: Callable[[], None]) -> Callable[[], None]:
        """Call after each commit with events of these kinds. Returns what ends that."""
        key = object()
        self._heeding[key] = (kinds, call)

        def forget() -> None:
            self._heeding.pop(key, None)

        return forget

    def publish(self, events: list[Event]) -> None:
        """Events that have been committed."""
        self.seq = max(self.seq, events[-1].seq)
        self.tally.count(events)
        for kinds, call in self._heeding.values():
            if any(isinstance(event.body, kinds) for event in events):
                call()
        self._wake()

    def report(self, attempt: int, tell: Callable[[], Progress]) -> None:
        """A running attempt has moved on. `tell` is asked for how it stands once somebody wants to know."""
        self._version += 1
        self._moved.pop(attempt, None)
        self._moved[attempt] = _Moved(self._version, tell)
        if self._watching:
            self._watching = _woken(self._watching)

    def forget(self, attempt: int) -> None:
        """An attempt has ended."""
        self._moved.pop(attempt, None)

    def progress_after(self, version: int) -> tuple[int, list[Progress]]:
        """What is newer than a version, the oldest first, and the version to ask with next time."""
        found: list[Progress] = []
        for moved in reversed(self._moved.values()):
            if moved.version <= version:
                break
            if moved.told is None:
                moved.told = moved.tell()
            found.append(moved.told)
        return self._version, found[::-1]

    async def changed(self, seq: int, version: int) -> None:
        """Return when there is an event after `seq` or progress after `version`, or when the hub closes."""
        while self.seq <= seq and self._version <= version and not self.closing.is_set():
            future = asyncio.get_running_loop().create_future()
            waiting = [self._waiting] if version >= NO_PROGRESS else [self._waiting, self._watching]
            for one in waiting:
                one.append(future)
            try:
                await future
            finally:
                for futures in (self._waiting, self._watching):
                    if future in futures:
                        futures.remove(future)

    def close(self) -> None:
        """Send every subscriber home."""
        self.closing.set()
        self._wake()

    def _wake(self) -> None:
        self._waiting = _woken(self._waiting)


def _woken(futures: list[asyncio.Future[None]]) -> list[asyncio.Future[None]]:
    """Wake all of them; the list of those who wait then."""
    for future in futures:
        if not future.done():
            future.set_result(None)
    return []
