"""The console's one subscription: follows the engine's log, gathers what changed, and says it once a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.message import Message

from console.desk import Desk
from console.messages import JobsChanged, Resynced, Rings, StatusChanged
from engine.errors import HeadwayError
from engine.events import Adopted, Answered, Asked, Event, Launched, LimitSeen, Notified, Pruned, Stopping, Submitted
from engine.model import Progress

#: Seconds between attempts to reach an engine that went away: quick at first, then patient.
_PAUSES = (0.25, 0.5, 1.0, 2.0, 3.0)

#: Milliseconds between two reads of the counts while events arrive, while agents work and use money, and while
#: nothing happens.
_STATUS_BUSY, _STATUS_WORKING, _STATUS_IDLE = 1_000, 5_000, 60_000

#: Events that are read one by one after a cut: where more were missed, reading everything again is less.
_CAUGHT_UP_MOST = 2_000

#: Milliseconds after which a notice is not rung any more: what was missed in a cut is on the screen.
_FRESH = 60_000

_KEEPS_ORDER = (Notified, Launched, Adopted, Stopping, LimitSeen, Asked, Answered)


class Feed:
    """Keeps a `Desk` up to date and tells the app what changed. Survives the engine's absence."""

    def __init__(self, desk: Desk, tell: Callable[[Message], None]) -> None:
        self._desk = desk
        self._tell = tell
        self._changed: set[int] = set()
        self._reordered = False
        self._added = 0
        self._events = False
        self._worked = False
        self._status_read = 0
        self._notices: list[Notified] = []
        self._seen: tuple[str, int] | None = None
        """The home, and the newest event of its log that was told."""

    async def run(self) -> None:
        """Follow the engine until cancelled: the status, then every event after it.

        After a cut it goes on behind the last event that it saw, unless too many were missed.
        """
        failures = 0
        while True:
            try:
                await self._read_status()
                failures = 0
                assert self._desk.status is not None
                home, newest = self._desk.status.home, self._desk.status.seq
                after = self._goes_on_after(home, newest)
                self._tell(Resynced(missed=after is None))
                self._seen = (home, newest if after is None else after)
                async for item in self._desk.client.follow(after=self._seen[1]):
                    self._take(item)
                self._lost("the engine ended the connection")
            except HeadwayError as error:
                self._lost(error.message)
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            failures += 1
            await asyncio.sleep(pause)

    def _goes_on_after(self, home: str, newest: int) -> int | None:
        """The event after which the stream is to go on; None where everything is to be read again."""
        if self._seen is None or self._seen[0] != home or not 0 <= newest - self._seen[1] <= _CAUGHT_UP_MOST:
            return None
        return self._seen[1]

    async def refresh(self, now: int) -> None:
        """Read the counts again where events make that worth it, at most once a second."""
        after = _STATUS_BUSY if self._events else _STATUS_WORKING if self._worked else _STATUS_IDLE
        if self._desk.offline_since is None and now - self._status_read >= after:
            self._events = self._worked = False
            try:
                await self._read_status()
            except HeadwayError as error:
                self._lost(error.message)

    def flush(self) -> None:
        """Tell what was gathered since the last time, if anything."""
        if self._notices:
            notices, self._notices = tuple(self._notices), []
            self._tell(Rings(notices))
        if not self._changed and not self._reordered:
            return
        told = JobsChanged(frozenset(self._changed), self._reordered, self._added)
        self._changed, self._reordered, self._added = set(), False, 0
        self._tell(told)

    async def _read_status(self) -> None:
        desk = self._desk
        self._status_read = desk.clock()
        status = await desk.client.status()
        was_offline = desk.offline_since is not None
        desk.status, desk.offline_since, desk.why_offline = status, None, ""
        if was_offline:
            desk.progress.clear()
        self._tell(StatusChanged())

    def _lost(self, why: str) -> None:
        self._desk.why_offline = why
        if self._desk.offline_since is None:
            self._desk.offline_since = self._desk.clock()
        self._tell(StatusChanged())

    def _take(self, item: Event | Progress) -> None:
        if isinstance(item, Progress):
            self._desk.progress[item.job] = item
            self._changed.add(item.job)
            self._worked = True
            return
        self._events = True
        self._desk.seq = item.seq
        if self._seen is not None:
            self._seen = (self._seen[0], item.seq)
        if isinstance(item.body, Notified) and self._desk.clock() - item.at < _FRESH:
            self._notices.append(item.body)
        if item.job is None:
            self._reordered = self._reordered or isinstance(item.body, Pruned)
            return
        self._changed.add(item.job)
        if not isinstance(item.body, _KEEPS_ORDER):
            self._reordered = True
        if isinstance(item.body, Submitted):
            self._added += 1
