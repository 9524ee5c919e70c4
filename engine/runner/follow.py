"""Following the output files of all attempts from one task.

One `pread` a file and tick: 500 quiet files cost under a millisecond, and a busy one is read in large pieces. Inotify
would wake the engine for every line that any agent writes; here a tick serves all that came since the last.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.pulse import Pulse
from engine.runner.masking import MaskedFile
from engine.runner.run_dir import open_regular

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.05  #: while something is being written
QUIET_SECONDS = 0.25  #: while all are silent
READ_BYTES = 1 << 16  #: at most this much of one file a tick, so that a flood cannot starve the others
TURN_SECONDS = 0.005  #: of reading, after which all else that the engine does has its turn
LINE_BYTES = 1 << 24  #: a longer line is given up: its bytes are kept on disk, not in memory

Sink = Callable[[list[bytes]], None]


class Lines:
    """Bytes in, whole lines out; what is left waits for its newline. `offset` is where the first byte stands."""

    def __init__(self, offset: int = 0) -> None:
        self._part = bytearray()
        self._offset = offset

    def feed(self, data: bytes) -> list[tuple[bytes, int]]:
        """The lines that this piece completes, without their newlines, each with the offset behind it.

        A line past the limit comes out cut, and the rest of it not at all.
        """
        *whole, rest = data.split(b"\n")
        lines: list[tuple[bytes, int]] = []
        for piece in whole:
            self._offset += len(piece) + 1
            if self._part or len(piece) > LINE_BYTES:
                self._take(piece)
                piece = bytes(self._part)
                self._part.clear()
            lines.append((piece, self._offset))
        if rest:
            self._offset += len(rest)
            self._take(rest)
        return lines

    def rest(self) -> list[tuple[bytes, int]]:
        """What the file ended with, if it did not end with a newline."""
        part, self._part = bytes(self._part), bytearray()
        return [(part, self._offset)] if part else []

    def _take(self, piece: bytes) -> None:
        self._part += piece[: LINE_BYTES - len(self._part)]


@dataclass(slots=True)
class Tail:
    """One followed file. It may not exist yet."""

    path: Path
    sink: Sink
    offset: int = 0
    lines: Lines = field(default_factory=Lines)
    fd: int | None = None
    newest_only: bool = False
    """Only its last lines matter: a flood is jumped over instead of being read."""
    masks: Sequence[MaskedFile] = ()
    """What the same process writes, in which secrets are covered: this file first, after it has been read."""

    def read(self, limit: int) -> int:
        """Give new lines to the sink; returns how many bytes there were."""
        if self.fd is None and (fd := open_regular(self.path)) is not None:
            self.fd = fd
        if self.fd is None:
            return 0
        data = os.pread(self.fd, limit, self.offset)
        if not data:
            return 0
        if self.newest_only and len(data) == limit and (size := os.fstat(self.fd).st_size) - self.offset > limit:
            self.offset = size - limit
            self.lines = Lines(self.offset)
            data = os.pread(self.fd, limit, self.offset)
        self.offset += len(data)
        if lines := self.lines.feed(data):
            self.sink([line for line, _ in lines])
        return len(data)

    def mask(self) -> int:
        """Cover what is secret in a piece of each file; returns how many bytes there were."""
        upto = None if self.newest_only else self.offset  # what an agent asks is taken as it was, and answered so
        own = [one.catch_up(self.fd, upto) for one in self.masks[:1] if self.fd is not None]
        return sum(own) + sum(one.catch_up() for one in self.masks[1:])

    def close(self) -> None:
        for one in self.masks:
            one.close()
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class Follower:
    """Follows any number of files and tells whoever waits that one has grown."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self._tails: dict[int, Tail] = {}
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}
        self._added = asyncio.Event()

    def add(
        self,
        attempt: int,
        path: Path,
        sink: Sink,
        *,
        newest_only: bool = False,
        masks: Sequence[MaskedFile] = (),
    ) -> None:
        """`masks`: in these what is secret is covered; the first of them is `path`."""
        self._tails[attempt] = Tail(path, sink, newest_only=newest_only, masks=masks)
        self._added.set()
        self.tell(attempt)

    async def finish(self, attempt: int) -> None:
        """Read a file to its end, an unfinished last line included, and let it go."""
        tail = self._tails.pop(attempt, None)
        if tail is None:
            return  # the follower was stopped first, or gave it up
        try:
            while tail.read(READ_BYTES):  # noqa: ASYNC110 - it gives way to others, it waits for nothing
                await asyncio.sleep(0)
            if last := tail.lines.rest():
                tail.sink([line for line, _ in last])
            while tail.mask():  # noqa: ASYNC110
                await asyncio.sleep(0)
        finally:
            tail.close()
            self.tell(attempt)

    def look(self, attempt: int) -> None:
        """Read what is new of one file now: somebody has just written to it."""
        tail = self._tails.get(attempt)
        if tail is not None and self._read(attempt, tail):
            self.tell(attempt)

    def position(self, attempt: int) -> int:
        """How many bytes of a followed file have been read."""
        tail = self._tails.get(attempt)
        return tail.offset if tail is not None else 0

    def follows(self, attempt: int) -> bool:
        return attempt in self._tails

    async def grown(self, attempt: int) -> None:
        """Return when the file has grown, is no longer followed, or is from now on."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(attempt, [])
        waiting.append(future)
        try:
            await future
        finally:
            if future in waiting:
                waiting.remove(future)
            if not waiting and self._waiting.get(attempt) is waiting:
                del self._waiting[attempt]

    def tell(self, attempt: int) -> None:
        for future in self._waiting.pop(attempt, ()):
            if not future.done():
                future.set_result(None)

    def _read(self, attempt: int, tail: Tail) -> bool:
        """Read a piece of one file. What goes wrong in it costs that file, and none of the others."""
        try:
            return tail.read(READ_BYTES) + tail.mask() > 0
        except Exception:
            logger.exception("attempt %d: its output cannot be followed", attempt)
            tail.close()
            self._tails.pop(attempt, None)
            self.tell(attempt)
            return False

    async def run(self) -> None:
        """Until cancelled. Without files to follow it sleeps, and wakes nobody."""
        try:
            while True:
                if not self._tails:
                    self._added.clear()
                    await self._added.wait()
                busy = False
                turn = time.monotonic()
                for attempt, tail in list(self._tails.items()):
                    # One that was finished while others had their turn is closed: to read it would open it again.
                    if self._tails.get(attempt) is tail and self._read(attempt, tail):
                        busy = True
                        self.tell(attempt)
                        if time.monotonic() - turn > TURN_SECONDS:
                            await asyncio.sleep(0)
                            turn = time.monotonic()
                await self._pause(TICK_SECONDS if busy else QUIET_SECONDS)
        finally:
            for attempt, tail in self._tails.items():
                tail.close()
                self.tell(attempt)
            self._tails.clear()

    async def _pause(self, seconds: float) -> None:
        begun = time.monotonic()
        await asyncio.sleep(seconds)
        self.pulse.beat(seconds, time.monotonic() - begun)
