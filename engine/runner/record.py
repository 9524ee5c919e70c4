"""Reading the record that some agents keep of their session beside their output, from where an attempt began.

It is read whenever the agent has printed something, and to its end when it has ended. What is in it is as little
trusted as the output: the name of the session comes from there.
"""

from __future__ import annotations

import asyncio
import glob
import logging
import re
from pathlib import Path

from engine.runner.follow import READ_BYTES, Lines, Sink, Tail

logger = logging.getLogger(__name__)

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
    """One attempt's part of a record. `start`: where that begins."""

    def __init__(self, pattern: str | None, start: int, sink: Sink) -> None:
        self._pattern = pattern
        self._start = start
        self._sink = sink
        self._tail: Tail | None = None

    def read(self, session: str | None) -> int:
        """Read what has been added, a piece at most; returns how many bytes there were."""
        if self._tail is None:
            path = find(self._pattern, session) if self._pattern and session else None
            if path is None:
                return 0
            self._tail = Tail(path, self._sink, offset=self._start, lines=Lines(self._start))
        try:
            return self._tail.read(READ_BYTES)
        except OSError as error:
            logger.warning("%s cannot be read: %s", self._tail.path, error)
            return 0

    async def finish(self, session: str | None) -> None:
        """Read it to its end and let it go."""
        try:
            while self.read(session):  # noqa: ASYNC110 - it gives way to others, it waits for nothing
                await asyncio.sleep(0)
            if self._tail is not None and (last := self._tail.lines.rest()):
                self._sink([line for line, _ in last])
        finally:
            if self._tail is not None:
                self._tail.close()
