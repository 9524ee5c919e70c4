"""Connections at the sockets that sandboxes see. Whoever is in one may open as many as it likes, and keep them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from pathlib import Path

from engine.mcp.pace import Pace
from engine.server.caller import is_owner
from engine.server.listening import listening

logger = logging.getLogger(__name__)

STRANGERS = 512  #: connections of which it is not known whose they are: the oldest is cut off for one more
WARNINGS = 30  #: in a minute that are logged; the others are counted


class Guest:
    """One connection."""

    def __init__(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._door = door
        self._whose: Hashable = None

    def is_of(self, whose: Hashable) -> bool:
        """It is known whose it is. False where they have as many already as they may."""
        if self._whose is not None:
            return True
        if self._door.known[whose] >= self._door.most:
            self._door.warn(f"{whose} opens more than {self._door.most} connections at once")
            return False
        self._door.known[whose] += 1
        self._whose = whose
        self._door.strangers.pop(self, None)
        return True

    def warn(self, what: str) -> None:
        """Log what is wrong with what it says, if not too much was logged of late."""
        self._door.warn(what)

    def leave(self) -> None:
        self._door.strangers.pop(self, None)
        if self._whose is not None:
            self._door.known[self._whose] -= 1
            if not self._door.known[self._whose]:
                del self._door.known[self._whose]


class Door:
    """One socket. `most`: connections of one attempt."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: Counter[Hashable] = Counter()
        self.strangers: dict[Guest, asyncio.Task[None]] = {}
        self._pace = Pace.of(WARNINGS, time.monotonic())
        self._untold = 0

    def comes(self, guest: Guest, task: asyncio.Task[None]) -> None:
        """Who is honest says at once whose it is: for one more the oldest of those that have not is cut off."""
        if len(self.strangers) >= STRANGERS:
            oldest = next(iter(self.strangers))
            self.strangers.pop(oldest).cancel()
        self.strangers[guest] = task

    def warn(self, what: str) -> None:
        if self._pace.take(time.monotonic()):
            self._untold += 1
            return
        more, self._untold = self._untold, 0
        logger.warning("%s%s", what, f" (and {more} times something of the kind)" if more else "")


@contextlib.asynccontextmanager
async def receiving(
    home: Path, name: str, line: int, most: int, serve: Callable[[Guest], Awaitable[None]]
) -> AsyncIterator[None]:
    """Take connections at a socket of the home until left. `line`: bytes of the longest line that is read."""
    door = Door(most)
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served in a task"
        tasks.add(task)
        guest = Guest(door, reader, writer)
        try:
            if is_owner(writer.get_extra_info("socket")):
                door.comes(guest, task)
                await serve(guest)
                await writer.drain()
        except* (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError):
            pass
        except* Exception:
            logger.exception("a connection of %s could not be served", name)
        finally:
            guest.leave()
            tasks.discard(task)
            writer.close()

    with listening(home, name) as listener:
        listener.setblocking(False)
        server = await asyncio.start_unix_server(take, sock=listener, limit=line)
        try:
            yield
        finally:
            server.close()
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
