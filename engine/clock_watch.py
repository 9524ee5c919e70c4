"""Sees when somebody sets the clock of this machine, and lets nothing wait by the clock as it was."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from engine.alarm import Alarm
from engine.clock import now_ms
from engine.errors import StorageError
from engine.store import Store, clock

logger = logging.getLogger(__name__)

LEAST_MS = 60_000  #: a smaller step is one that time servers make, and no wait minds it
STORAGE_RETRY_MS = 5_000  #: until it is noted where the store could not be written


class ClockWatch:
    """One for an engine. `wake` is called once the store knows of it."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._before = _ahead_ms()

    async def run(self) -> None:
        """Until cancelled. Takes no turn until the kernel says that the clock was set."""
        alarm = Alarm()
        try:
            while True:
                retry = not await self._look()
                now = now_ms()
                await alarm.until(now + STORAGE_RETRY_MS if retry else None, now)
        finally:
            alarm.close()

    async def _look(self) -> bool:
        """Note by how much it was set, if it was; whether that could be written."""
        ahead = _ahead_ms()
        by = ahead - self._before
        if abs(by) < LEAST_MS:
            self._before = ahead
            return True
        try:
            opened = await self._store.write(partial(clock.was_set, by_ms=by))
        except StorageError as error:
            logger.error("the clock was set by %d s, which could not be noted: %s", by // 1000, error)
            return False
        self._before = ahead
        logger.warning("the clock was set by %d s; %d jobs wait no longer for times of before", by // 1000, opened)
        self._wake()
        return True


def _ahead_ms() -> int:
    """How far the wall clock is ahead of the time since the machine started, its sleep included."""
    return now_ms() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
