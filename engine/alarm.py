"""Waits for a moment of the wall clock without looking at it in between.

A timer of the kernel on CLOCK_REALTIME: it goes on while the machine sleeps, and says so when somebody sets the clock.
What asyncio has is neither. See timerfd_create(2); Python offers it from 3.13 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct

CLOCK_REALTIME = 0
TFD_TIMER_ABSTIME = 1
TFD_TIMER_CANCEL_ON_SET = 2
TFD_NONBLOCK = os.O_NONBLOCK
TFD_CLOEXEC = os.O_CLOEXEC
#: Where the kernel gives no timer, the clock is looked at so often.
LOOK_SECONDS = 30.0


class Alarm:
    """One waits at a time; anybody may wake it."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._make()

    def wake(self) -> None:
        """What is waited for may have changed."""
        self._wake.set()

    async def until(self, at: int | None, now: int) -> None:
        """Return at that moment (milliseconds UTC; None is never), when the clock is set, or when woken."""
        if at is not None and at <= now:
            return
        if self._fd is None or not self._set(at):
            await self._look(at, now)
        else:
            await self._wait(self._fd)
        self._wake.clear()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def _wait(self, fd: int) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, self._ring, fd)
        try:
            await self._wake.wait()
        finally:
            loop.remove_reader(fd)

    def _ring(self, fd: int) -> None:
        with contextlib.suppress(OSError):  # ECANCELED: the clock was set
            os.read(fd, 8)
        self._wake.set()

    async def _look(self, at: int | None, now: int) -> None:
        seconds = None if at is None else min((at - now) / 1000, LOOK_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _make(self) -> int | None:
        try:
            fd = int(self._libc.timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC))
        except AttributeError:
            return None
        return fd if fd >= 0 else None

    def _set(self, at: int | None) -> bool:
        seconds, rest = divmod(at or 0, 1000)  # zero disarms it
        when = struct.pack("@qqqq", 0, 0, seconds, rest * 1_000_000)
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        return bool(self._libc.timerfd_settime(self._fd, flags, when, None) == 0)
