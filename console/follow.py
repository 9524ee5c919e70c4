"""Reading one attempt's output into a tail, through cuts of the line, until it ends or something else is to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from console.client import EngineClient
from console.transcript import Entry, entries
from engine.agents.events import Compacted, Context, LogLine, Result, ToolCall
from engine.errors import HeadwayError, NoEngineError, NotFoundError

#: Seconds before a log that was cut off, or is not there yet, is asked for again.
_PAUSE = 1.0


class LogReader:
    """Follows the output of one attempt (by its number) and hands over what it adds to a transcript."""

    def __init__(
        self,
        client: EngineClient,
        job: int,
        attempt: int | None,
        tail: int,
        take: Callable[[list[Entry]], None],
        hear: Callable[[LogLine], None] | None = None,
    ) -> None:
        self._client = client
        self._job = job
        self._attempt = attempt
        self._tail = tail
        self._take = take
        self._line = hear
        self._next: int | None = None
        self.context_tokens = 0
        self.context_window = 0
        self.problem = ""
        """Why there is nothing to read at this moment."""

    async def run(self) -> None:
        """Read until the output ends. Takes up a cut line after the last byte that was read."""
        while True:
            try:
                await self._read()
            except (NoEngineError, NotFoundError) as error:
                self.problem = error.message
            except HeadwayError as error:
                self.problem = error.message
                return
            else:
                return
            await asyncio.sleep(_PAUSE)

    async def _read(self) -> None:
        tail = self._tail if self._next is None else None
        async for line in self._client.log(self._job, attempt=self._attempt, after=self._next, tail=tail, follow=True):
            self.problem = ""
            self._note(line)
            if self._line is not None:
                self._line(line)
            if new := entries(line):
                self._take(new)

    def _note(self, line: LogLine) -> None:
        self._next = line.next
        if isinstance(line.event, Context | ToolCall) and line.event.context_tokens:
            self.context_tokens = line.event.context_tokens
        if isinstance(line.event, Context | Result) and line.event.window:
            self.context_window = line.event.window
        if isinstance(line.event, Compacted) and line.event.after_tokens:
            self.context_tokens = line.event.after_tokens
