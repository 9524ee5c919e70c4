"""Reading the record that some agents keep of their session beside their output, from where an attempt began.

It is read whenever the agent has printed something, and to its end when it has ended. What is in it is as little
trusted as the output: the name of the session comes from there.
"""

from __future__ import annotations

import asyncio
import glob
import logging
import math
import re
import time
from collections.abc import Callable
from pathlib import Path

from engine.runner.follow import READ_BYTES, Lines, Sink, Tail

logger = logging.getLogger(__name__)

#: Between two looks for a record that is not there, in seconds. A look goes through a folder for each place that any
#: session ever worked in, and may be asked for with every line.
LOOK_FIRST, LOOK_LAST = 0.25, 30.0

_SESSION = re.compile(r"[0-9A-Za-z_-]{1,100}")


def find(pattern: str, session: str) -> Path | None:
    """The newest file that the pattern names for a session."""
    if not _SESSION.fullmatch(session):
        return None
    named = pattern.replace("{session}", session).replace("{session8}", session[:8])
    found = glob.glob(named)  # noqa: PTH207 - Path.glob takes no absolute one
    return Path(max(found)) if found else None


def size(pattern: str | None, session: str | None) -> int:
    """How much of a session's record there is."""
    path = find(pattern, session) if pattern and session else None
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0


class Record:
    """One attempt's part of a record. `start`: where that begins; `clock`: seconds."""

    def __init__(
        self, pattern: str | None, start: int, sink: Sink, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pattern = pattern
        self._start = start
        self._sink = sink
        self._clock = clock
        self._tail: Tail | None = None
        self._wait = LOOK_FIRST
        self._look_at = -math.inf

    def read(self, session: str | None) -> int:
        """Read what has been added, a piece at most; returns how many bytes there were."""
        if self._tail is None and (path := self._find(session)) is not None:
            self._tail = Tail(path, self._sink, offset=self._start, lines=Lines(self._start))
        if self._tail is None:
            return 0
        try:
            return self._tail.read(READ_BYTES)
        except OSError as error:
            logger.warning("%s cannot be read: %s", self._tail.path, error)
            return 0

    def _find(self, session: str | None) -> Path | None:
        """Look for it, and ever more seldom where it is not there."""
        now = self._clock()
        if self._pattern is None or not session or now < self._look_at:
            return None
        self._look_at, self._wait = now + self._wait, min(LOOK_LAST, 2 * self._wait)
        return find(self._pattern, session)

    async def finish(self, session: str | None) -> None:
        """Read it to its end and let it go."""
        self._look_at = -math.inf
        try:
            while self.read(session):  # noqa: ASYNC110 - it gives way to others, it waits for nothing
                await asyncio.sleep(0)
            if self._tail is not None and (last := self._tail.lines.rest()):
                self._sink([line for line, _ in last])
        finally:
            if self._tail is not None:
                self._tail.close()
