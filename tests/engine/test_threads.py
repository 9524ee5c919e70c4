"""Calls in threads that are seen to their end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.threads import to_its_end
from tests.waiting import PATIENCE


async def test_what_it_returns_and_raises_is_passed_on() -> None:
    assert await to_its_end(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await to_its_end(lambda: 1 // 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_twice_waits_for_it_all_the_same(fails: bool) -> None:
    begun, go, over = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go.wait(PATIENCE)
        over.set()
        if fails:
            raise ValueError

    waiting = asyncio.create_task(to_its_end(call))
    await asyncio.to_thread(begun.wait, PATIENCE)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert over.is_set()
