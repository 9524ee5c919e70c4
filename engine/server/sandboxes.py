"""The socket at which sandboxes reach the network. It is in the directory that every sandbox is let see."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from functools import partial

from engine import events as log
from engine.config.sandbox import chosen
from engine.engine import Engine
from engine.errors import HeadwayError
from engine.home import NETWORK
from engine.network.passes import Pass, key_of, read
from engine.network.proxy import HEAD_BYTES, HEAD_SECONDS, MOST_AT_ONCE, Way, serve
from engine.server.caller import at_socket
from engine.server.listening import listening
from engine.store import network

logger = logging.getLogger(__name__)

REMEMBERED = 10_000  #: refusals that are not told again
MOST_OF_A_JOB = 50  #: refusals of one job that go into the log: a scan of a thousand hosts is told of by its first


@contextlib.asynccontextmanager
async def serving_sandboxes(engine: Engine) -> AsyncIterator[None]:
    """Take the connections of sandboxes until left."""
    gate = _Gate(engine)
    lines: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served in a task"
        lines.add(task)
        try:
            if at_socket(writer.get_extra_info("socket")) is not None and len(lines) <= MOST_AT_ONCE:
                await gate.serve(reader, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception:
            logger.exception("a connection of a sandbox could not be served")
        finally:
            lines.discard(task)
            writer.close()

    with listening(engine.home, NETWORK) as listener:
        listener.setblocking(False)
        server = await asyncio.start_unix_server(take, sock=listener, limit=HEAD_BYTES)
        try:
            yield
        finally:
            server.close()
            for task in tuple(lines):
                task.cancel()
            await asyncio.gather(*lines, return_exceptions=True)


class _Gate:
    """Knows whose a connection is, and what that may reach."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._key = key_of(engine.home)
        self._told: OrderedDict[tuple[int, int | None, str, int], None] = OrderedDict()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            line = (await reader.readuntil(b"\n")).decode(errors="replace").rstrip("\n")
        word, _, verb = line.partition(" ")
        whose = read(self._key, word)
        wanted = chosen(self._engine.settings, whose.agent, whose.project) if whose is not None else None
        if whose is None or wanted is None:
            return
        entries = wanted.entries
        ports = {port for one in entries if one.here for port in one.ports}
        if (tap := self._engine.tap.port) is not None:
            ports.add(tap)
        await serve(Way(entries, frozenset(ports), partial(self._refused, whose)), verb, reader, writer)

    async def _refused(self, whose: Pass, host: str, port: int, why: str) -> None:
        """Told in the log, once."""
        known = (whose.job, whose.attempt, host, port)
        if known in self._told:
            return
        self._told[known] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        body = log.NetworkRefused(host[:250], port, why)
        with contextlib.suppress(HeadwayError):
            await self._engine.store.write(lambda tx: network.note(tx, whose.job, whose.attempt, body, MOST_OF_A_JOB))
