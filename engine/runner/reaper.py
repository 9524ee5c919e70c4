"""Being the subreaper: orphans of our attempts come to us instead of to init, and have to be reaped."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal

from engine.runner import procfs, spawn

_PR_SET_CHILD_SUBREAPER = 36  #: prctl(2)
PAUSE_SECONDS = 1.0  #: reaping can wait; a burst of ending processes must not cost a scan each


def become_subreaper() -> bool:
    """Whether the kernel agreed."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


class Reaper:
    """Reaps inherited orphans, and leaves our own children to those who wait for them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop.add_signal_handler(signal.SIGCHLD, self._soon)

    def stop(self) -> None:
        self._loop.remove_signal_handler(signal.SIGCHLD)
        if self._pending is not None:
            self._pending.cancel()

    def _soon(self) -> None:
        if self._pending is None:
            self._pending = self._loop.call_later(PAUSE_SECONDS, self._reap)

    def _reap(self) -> None:
        self._pending = None
        for pid in procfs.children():
            if not spawn.is_ours(pid):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
