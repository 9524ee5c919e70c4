"""Waiting for what an engine in this process comes to, without sleeping and without losing the wake-up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from engine.engine import Engine

PATIENCE = 60.0  #: seconds after which what was waited for will not come, on the slowest machine
NEVER = 1 << 62
Found = TypeVar("Found")


async def until(engine: Engine, look: Callable[[], Awaitable[Found | None]]) -> Found:
    """The first thing that `look` finds; it is asked again after every event.

    The sequence is taken before the look: an event between the two would otherwise be waited for in vain.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            seq = engine.hub.seq
            if (found := await look()) is not None:
                return found
            await engine.hub.changed(seq, NEVER)
