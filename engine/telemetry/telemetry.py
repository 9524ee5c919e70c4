"""Reads what has ended from the log, behind everything else, and hands it on as spans and figures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from engine.clock import now_ms
from engine.config import KeyReference, Settings
from engine.errors import HeadwayError, StorageError
from engine.hub import Hub
from engine.redact import Secrets, out_of_shapes
from engine.store import Store, traces
from engine.telemetry.calls import Calls
from engine.telemetry.drawing import draw
from engine.telemetry.span import Names
from engine.units import milliseconds

if TYPE_CHECKING:
    from engine.telemetry.otel import Collector, Sender

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  #: what ends in a crowd is read together
STORAGE_RETRY_SECONDS = 5.0
KNOWN = 4_096  #: attempts that are remembered as told: one whose job goes through a gate ends twice in the log

Resolve = Callable[[KeyReference], Awaitable[str]]


class Telemetry:
    """One for an engine that has been told where to send them."""

    def __init__(
        self, home: str, store: Store, hub: Hub, settings: Settings, secrets: Secrets, resolve: Resolve
    ) -> None:
        self._home = home
        self._store = store
        self._hub = hub
        self._said = settings.telemetry
        self._secrets = secrets
        self._resolve = resolve
        self._names = Names(home)
        self._calls = Calls(now_ms)
        self._told: dict[int, None] = {}

    async def run(self) -> None:
        """Until cancelled, or until it is plain that nothing can be sent."""
        seq, news = self._hub.seq, asyncio.Event()
        self._hub.on_tool = self._calls.hear if self._said.traces or self._said.metrics else None
        forget = self._hub.heed(traces.ENDS, news.set)
        try:
            sender = await self._begin(self._said.endpoint or "")
            if sender is None:
                return
            self._hub.tally.spans_dropped = lambda: sender.dropped
            try:
                await self._follow(sender, seq, news)
            finally:
                await asyncio.shield(asyncio.to_thread(sender.close))
        finally:
            forget()
            self._hub.on_tool = None

    async def _begin(self, endpoint: str) -> Sender | None:
        try:
            headers = {name: await self._resolve(one) for name, one in self._said.headers.items()}
        except HeadwayError as error:
            logger.error("telemetry: %s; nothing is sent", error)
            return None
        self._secrets.learn(headers.values())
        return await asyncio.to_thread(_sender, self._collector(endpoint, headers))

    def _collector(self, endpoint: str, headers: Mapping[str, str]) -> Callable[[], Collector]:
        def make() -> Collector:
            from engine.telemetry.otel import Collector

            said, every = self._said, milliseconds(self._said.every)
            return Collector(endpoint, headers, max(100, every), said.queue, said.traces, said.metrics, self._home)

        return make

    async def _follow(self, sender: Sender, seq: int, news: asyncio.Event) -> None:
        while True:
            await news.wait()
            news.clear()
            try:
                read = await self._store.look(lambda tx, after=seq: traces.read(tx, after))  # type: ignore[misc]
            except StorageError as error:
                logger.error("telemetry: %s; looking again in %.0f s", error, STORAGE_RETRY_SECONDS)
                news.set()
                await asyncio.sleep(STORAGE_RETRY_SECONDS)
                continue
            seq = read.up_to
            for end in read.ends:
                try:
                    self._tell(sender, end)
                except Exception:
                    logger.exception("job %d: its end cannot be told to the collector", end.job.id)
            if read.more:
                news.set()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, sender: Sender, end: traces.End) -> None:
        tried = end.attempt
        if tried is not None and tried.id in self._told:
            end = traces.End(end.event, end.job, end.life, None, (), end.above)
        elif tried is not None and tried.ended_at is not None:
            self._told[tried.id] = None
            if len(self._told) > KNOWN:
                self._told.pop(next(iter(self._told)))
        drawing = draw(end, self._calls.take(tried.id) if tried is not None else (), self._names, self._clean)
        for span in drawing.spans:
            sender.span(span)
        for figure in drawing.figures:
            sender.figure(figure)

    def _clean(self, text: str) -> str:
        return out_of_shapes(self._secrets.out_of(text))


def _sender(collector: Callable[[], Collector]) -> Sender:
    from engine.telemetry.otel import Sender  # 40 ms of CPU and 20 MB that nobody pays for who has it off

    return Sender(collector())
