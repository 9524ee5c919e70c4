"""Waiting for a moment of the wall clock: it comes, it is woken, and it takes no turn in between."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from engine.alarm import Alarm
from engine.clock import now_ms
from tests.conftest import PATIENCE


@pytest.fixture
def alarm() -> Alarm:
    return Alarm()


async def test_it_rings_at_its_moment(alarm: Alarm) -> None:
    at = now_ms() + 150
    async with asyncio.timeout(PATIENCE):
        await alarm.until(at, now_ms())
    assert now_ms() >= at
    alarm.close()


async def test_what_is_over_is_not_waited_for(alarm: Alarm) -> None:
    async with asyncio.timeout(PATIENCE):
        await alarm.until(now_ms() - 1, now_ms())
    alarm.close()


async def test_it_is_woken_also_before_it_waits(alarm: Alarm) -> None:
    async with asyncio.timeout(PATIENCE):
        alarm.wake()
        await alarm.until(None, now_ms())
        asyncio.get_running_loop().call_later(0.05, alarm.wake)
        await alarm.until(now_ms() + 3_600_000, now_ms())
    alarm.close()


async def test_it_takes_no_turn_while_it_waits(alarm: Alarm) -> None:
    """Half a second of waiting is a handful of turns of the loop, not one for each look at a clock."""
    waiting = asyncio.create_task(alarm.until(now_ms() + 86_400_000, now_ms()))
    await asyncio.sleep(0.1)
    before = time.process_time()
    await asyncio.sleep(0.5)
    assert time.process_time() - before < 0.25
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    alarm.close()


async def test_a_clock_that_is_set_rings_it(alarm: Alarm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel answers a read with ECANCELED then; here somebody else does."""

    def cancelled(fd: int, count: int) -> bytes:
        raise OSError(125, "Operation canceled")

    at = now_ms() + 50
    monkeypatch.setattr(os, "read", cancelled)
    async with asyncio.timeout(PATIENCE):
        await alarm.until(at, now_ms())
    monkeypatch.undo()
    alarm.close()


async def test_without_the_kernels_timer_the_clock_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = Alarm()
    monkeypatch.setattr(alarm, "_set", lambda at: False)
    at = now_ms() + 50
    async with asyncio.timeout(PATIENCE):
        await alarm.until(at, now_ms())
        asyncio.get_running_loop().call_later(0.02, alarm.wake)
        await alarm.until(None, now_ms())
    alarm.close()
