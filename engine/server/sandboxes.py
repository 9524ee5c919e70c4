"""The socket at which sandboxes reach the network. It is in the directory that every sandbox is let see."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from functools import partial

from engine import events as log
from engine.config.sandbox import chosen
from engine.engine import Engine
from engine.errors import HeadwayError
from engine.home import NETWORK
from engine.network.inside import MOST
from engine.network.passes import Pass, key_of, read
from engine.network.proxy import HEAD_BYTES, HEAD_SECONDS, Way, serve
from engine.server.guests import Guest, receiving
from engine.store import network

REMEMBERED = 10_000  #: refusals that are not told again
MOST_OF_A_JOB = 50  #: refusals of one job that go into the log: a scan of a thousand hosts is told of by its first


@contextlib.asynccontextmanager
async def serving_sandboxes(engine: Engine) -> AsyncIterator[None]:
    """Take the connections of sandboxes until left."""
    async with receiving(engine.home, NETWORK, HEAD_BYTES, MOST, _Gate(engine).serve):
        yield


class _Gate:
    """Knows whose a connection is, and what that may reach."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._key = key_of(engine.home)
        self._told: OrderedDict[tuple[int, int | None, str, int], None] = OrderedDict()

    async def serve(self, guest: Guest) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            line = (await guest.reader.readuntil(b"\n")).decode(errors="replace").rstrip("\n")
        word, _, verb = line.partition(" ")
        whose = read(self._key, word)
        wanted = chosen(self._engine.settings, whose.agent, whose.project) if whose is not None else None
        if whose is None or wanted is None or not guest.is_of(_name(whose)):
            return
        entries = wanted.entries
        ports = {port for one in entries if one.here for port in one.ports}
        if (tap := self._engine.tap.port) is not None:
            ports.add(tap)
        await serve(Way(entries, frozenset(ports), partial(self._refused, whose)), verb, guest.reader, guest.writer)

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


def _name(whose: Pass) -> str:
    return f"a check of J{whose.job}" if whose.attempt is None else f"attempt {whose.attempt} of J{whose.job}"
