"""Starting programs with posix_spawn and waiting for them by pidfd.

No thread, no fork of a large parent, one mechanism for children and for adopted processes alike: a pidfd becomes
readable when its process ends, whoever its parent is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.runner import procfs

#: Python ignores these for itself; a program expects the default.
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)

OOM_SCORE = -500  #: of the engine, from -1000, never ended, to 1000, ended first
POLL_SECONDS = 0.05  #: between looks at a process that could not be given a descriptor
TOGETHER = 64  #: processes waited for at once: each takes a descriptor while it is

_spawned: set[int] = set()
_used: dict[int, int] = {}  #: milliseconds of processor time of children that were reaped, the newest of them


def is_ours(pid: int) -> bool:
    """Whether this process started that child and will reap it."""
    return pid in _spawned


def open_files_limit() -> int:
    """The soft limit of open files that programs were started with before the engine raised its own."""
    return _soft_files


_soft_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def hard_limits() -> dict[str, int]:
    """What this process may have of what `ulimit` sets, by its options, in its units. Not what has no limit."""
    units = {"n": (resource.RLIMIT_NOFILE, 1), "f": (resource.RLIMIT_FSIZE, 512), "t": (resource.RLIMIT_CPU, 1)}
    units |= {"v": (resource.RLIMIT_AS, 1024), "c": (resource.RLIMIT_CORE, 512)}
    found = {option: (resource.getrlimit(which)[1], unit) for option, (which, unit) in units.items()}
    return {option: most // unit for option, (most, unit) in found.items() if most != resource.RLIM_INFINITY}


def raise_open_files_limit() -> None:
    """500 attempts hold more than the usual 1,024 descriptors. The shim gives programs the old limit back."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def be_spared() -> None:
    """When memory runs out, the kernel is to end others first. Needs a privilege, and does without it.

    Programs that we start inherit it; the shim of an attempt raises it again.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


def keep_descriptors() -> None:
    """Mark every descriptor that our own parent handed on as ours: no program that we start shall inherit it."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


@dataclass(frozen=True, slots=True)
class Streams:
    """Descriptors that the program gets as 0, 1 and 2."""

    stdin: int
    stdout: int
    stderr: int


def spawn(argv: Sequence[str], environment: Mapping[str, str], streams: Streams, *, session: bool = True) -> int:
    """Start a program, in a session of its own, and return its pid.

    Raises `OSError` where it cannot be started. Every other descriptor of ours is closed on exec.
    """
    actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate((streams.stdin, streams.stdout, streams.stderr))]
    pid = os.posix_spawnp(
        argv[0],
        list(argv),
        dict(environment),
        file_actions=actions,
        setsid=session,
        setsigmask=(),
        setsigdef=_DEFAULT_SIGNALS,
    )
    _spawned.add(pid)
    return pid


async def ended(pid: int) -> int | None:
    """Wait until a process has ended. Returns its exit code as a shell shows it, or None if it is not our child."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return _reap(pid)
    except OSError:  # no descriptor is left: look instead of being told
        while (found := procfs.process(pid)) is not None and not found.is_gone:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return _reap(pid)
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.add_reader(pidfd, lambda: None if gone.done() else gone.set_result(None))
    try:
        await gone
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
    return _reap(pid)


def cpu_ms(pid: int) -> int | None:
    """Processor time of a child that has just been reaped, with all that it had waited for. Told once."""
    return _used.pop(pid, None)


async def all_ended(pids: Sequence[int], within: float) -> bool:
    """Wait until all of them have ended; False where some still run after that many seconds."""
    try:
        async with asyncio.timeout(within):
            for start in range(0, len(pids), TOGETHER):
                async with asyncio.TaskGroup() as group:
                    for pid in pids[start : start + TOGETHER]:
                        group.create_task(ended(pid))
    except TimeoutError:
        return False
    return True


def _reap(pid: int) -> int | None:
    if pid not in _spawned:
        return None
    try:
        found, status, used = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        _spawned.discard(pid)
        return None
    if found == 0:
        return None
    _spawned.discard(pid)
    _used[pid] = round((used.ru_utime + used.ru_stime) * 1000)
    if len(_used) > TOGETHER:
        del _used[next(iter(_used))]
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


@dataclass(frozen=True, slots=True)
class Completed:
    code: int
    stdout: bytes
    stderr: bytes


async def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    within: float,
    stdout: int | None = None,
    stdin: bytes = b"",
) -> Completed:
    """Run a program to its end, its output in memory or, for `stdout`, in the given descriptor.

    Raises `OSError` where it cannot be started and `TimeoutError`, having killed it, after `within` seconds.
    """
    given = os.memfd_create("stdin")
    out = os.memfd_create("stdout") if stdout is None else stdout
    err = os.memfd_create("stderr")
    try:
        _fill(given, stdin)
        pid = spawn(argv, environment, Streams(given, out, err))
        try:
            async with asyncio.timeout(within):
                code = await ended(pid)
        except BaseException:
            os.killpg(pid, signal.SIGKILL)
            await ended(pid)
            raise
        return Completed(code if code is not None else 1, b"" if stdout is not None else _all(out), _all(err))
    finally:
        for fd in {given, err} | ({out} if stdout is None else set()):
            os.close(fd)


def _fill(fd: int, data: bytes) -> None:
    """Put all of it into a file of memory, to be read from its beginning."""
    with os.fdopen(fd, "wb", closefd=False) as file:
        file.write(data)
        file.flush()
    os.lseek(fd, 0, os.SEEK_SET)


def _all(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)
