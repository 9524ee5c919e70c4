"""The event stream over one engine: what its subscribers are told, to the end."""

from __future__ import annotations

import asyncio

from engine.engine import Engine
from engine.model import Order, Verb
from engine.server import streams
from engine.submission import Wanted
from tests.conftest import PATIENCE, shell


async def test_what_happened_until_the_engine_ends_is_told(engine: Engine) -> None:
    await engine.act(Order(verb=Verb.HOLD, scope="all"), "tester")
    stream = streams.events(engine, engine.hub.seq, progress=True)
    async with asyncio.timeout(PATIENCE):
        first = asyncio.create_task(anext(stream))
        while not engine.hub.subscribers:
            await asyncio.sleep(0)
        await engine.submit(Wanted([shell("true", title="before")]))
        assert b'"before"' in await first
        # The subscriber takes breath; meanwhile more happens, and the engine is asked to end.
        await engine.submit(Wanted([shell("true", title="meanwhile")]))
        engine.hub.close()
        rest = b"".join([frames async for frames in stream])
    assert b'"meanwhile"' in rest
    assert engine.hub.subscribers == 0
