"""Speaking to an agent: lines into the pipe that is its standard input.

The pipe lies in the run directory and is kept open by the attempt itself (`shim.sh`), so that what was written outlives
the engine, and an engine that ends says nothing by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import stat

from engine.runner import procfs
from engine.runner.run_dir import RunDir
from engine.runner.tree import MARKER

#: Bytes that a pipe is to hold: a line that fits is written in one piece, so that no crash can cut it in two.
PIPE_BYTES = 1 << 20


def open_for(run: RunDir) -> None:
    """Make the pipe."""
    os.mkfifo(run.pipe, 0o600)


def close(run: RunDir) -> None:
    """Remove the pipe of an attempt that has ended: whoever opened it would wait."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(run.pipe.lstat().st_mode):
            run.pipe.unlink()


async def tell(run: RunDir, line: bytes) -> bool:
    """Write a line. False where nobody listens any more."""
    fd = _writable(run)
    if fd is None:
        return False
    try:
        with contextlib.suppress(OSError):  # beyond what an unprivileged user may have
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        left = memoryview(line)
        while left:
            try:
                left = left[os.write(fd, left) :]
            except BlockingIOError:
                await _room(fd)
            except BrokenPipeError:
                return False
        return True
    finally:
        os.close(fd)


def hang_up(run: RunDir, marker: str) -> None:
    """End standard input, by ending what keeps it open. Nothing is ended that is not of that attempt."""
    pid = run.holder()
    if pid is not None and procfs.carries(pid, f"{MARKER}={marker}".encode()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _writable(run: RunDir) -> int | None:
    """A descriptor of the pipe; None where it is none, or nobody reads it."""
    try:
        fd = os.open(run.pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


async def _room(fd: int) -> None:
    loop = asyncio.get_running_loop()
    free = loop.create_future()
    loop.add_writer(fd, lambda: None if free.done() else free.set_result(None))
    try:
        await free
    finally:
        loop.remove_writer(fd)
