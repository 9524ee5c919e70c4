"""Calls in a thread that are seen to their end, also by who is cancelled meanwhile.

A thread cannot be stopped. What a call uses, such as a connection to the database, must not be closed or given to
another one while it runs: SQLite takes the whole process with it then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(call: Callable[[], T]) -> T:
    """What a call in a thread returns. Who is cancelled is so once it has ended: it has to be short."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # nobody is left to hear of it
        raise
