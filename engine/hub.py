"""Tells subscribers that something happened, without queues: each reads the log from where it stands.

A slow subscriber therefore costs nothing and loses nothing; it finds more to read when it comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.events import Body, Event
from engine.model import Progress
from engine.tally import Tally


class Hub:
    """The newest sequence number, the newest progress of each running attempt, and who waits for more."""

    def __init__(self) -> None:
        self.seq = 0
        self.tally = Tally()
        self._progress: dict[int, tuple[int, Progress]] = {}
        self._version = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.subscribers = 0
        self.closing = asyncio.Event()
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

    def report(self, progress: Progress) -> None:
        """A running attempt has moved on."""
        self._version += 1
        self._progress[progress.attempt] = (self._version, progress)
        self._wake()

    def forget(self, attempt: int) -> None:
        """An attempt has ended."""
        self._progress.pop(attempt, None)

    def progress_after(self, version: int) -> tuple[int, list[Progress]]:
        """What is newer than a version, and the version to ask with next time."""
        return self._version, [progress for seen, progress in self._progress.values() if seen > version]

    async def changed(self, seq: int, version: int) -> None:
        """Return when there is an event after `seq` or progress after `version`, or when the hub closes."""
        while self.seq <= seq and self._version <= version and not self.closing.is_set():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            finally:
                if future in self._waiting:
                    self._waiting.remove(future)

    def close(self) -> None:
        """Send every subscriber home."""
        self.closing.set()
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
