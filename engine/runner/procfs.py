"""What /proc tells of processes. Linux only, as the subreaper and cgroups are.

Fields of /proc/PID/stat and statm: proc_pid_stat(5), proc_pid_statm(5).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process is meant, beyond its pid: pids are used again, start times within one boot are not."""

    pid: int
    started: int
    """Clock ticks after boot."""
    boot: str


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    session: int
    state: str
    started: int
    threads: int = 1

    @property
    def is_gone(self) -> bool:
        """It has ended and only waits to be reaped. One whose first thread ended before the others still runs."""
        return self.state in "ZX" and self.threads <= 1


@cache
def boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def process(pid: int) -> Process | None:
    """One process, or None where there is no such pid."""
    fields = _stat(pid)
    if fields is None:
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0].decode(),
        started=int(fields[19]),
        threads=int(fields[17]),
    )


def image(pid: int) -> tuple[int, int] | None:
    """What changes when a pid comes to run another program: by fork with the process, by exec with where its stack is.

    Of another user's process the second stays 0.
    """
    fields = _stat(pid)
    return (int(fields[19]), int(fields[25])) if fields is not None else None


def _stat(pid: int) -> list[bytes] | None:
    """The fields of a process from its state on, which is the third of them; None where there is no such pid."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses itself: count from the last one.
    return stat[stat.rindex(b")") + 2 :].split()


def threads(pid: int) -> int:
    """Threads of a process; none where it has gone."""
    found = process(pid)
    return 0 if found is None or found.state in "ZX" else found.threads


def identity(pid: int) -> Identity | None:
    found = process(pid)
    return Identity(pid, found.started, boot_id()) if found else None


def is_alive(who: Identity) -> bool:
    """Whether that very process still runs."""
    if who.boot != boot_id():
        return False
    found = process(who.pid)
    return found is not None and found.started == who.started and not found.is_gone


def age(who: Identity) -> float:
    """Seconds since a process of this boot was started, by the clock that nobody sets."""
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - who.started / _TICKS)


def cpu_ms(pid: int) -> int:
    """Processor time of a process and of those children that it has waited for; 0 where it has gone."""
    ticks = (_stat(pid) or [])[11:15]  # utime, stime, cutime, cstime
    return sum(map(int, ticks)) * 1000 // _TICKS


def resident(pid: int) -> tuple[int, int]:
    """Bytes of memory that a process holds alone, and that it may share with others; nothing where it has gone."""
    try:
        _, whole, shared, *_ = (_PROC / str(pid) / "statm").read_bytes().split()
    except (OSError, ValueError):
        return 0, 0
    return (int(whole) - int(shared)) * _PAGE, int(shared) * _PAGE


def proportional(pid: int) -> int | None:
    """Bytes of memory of a process, what it shares divided by those that share it; None where we may not ask.

    Slow: the kernel walks all of its pages.
    """
    try:
        rolled = (_PROC / str(pid) / "smaps_rollup").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has gone
    except OSError:
        return None
    found = next((line for line in rolled.split(b"\n") if line.startswith(b"Pss:")), None)
    return int(found.split()[1]) * 1024 if found else 0


def processes() -> dict[int, Process]:
    """All processes of the machine that can be seen, by pid."""
    found = {}
    for name in os.listdir(_PROC):
        if name.isdigit() and (one := process(int(name))) is not None:
            found[one.pid] = one
    return found


def carries(pid: int, mark: bytes) -> bool:
    """Whether a process was started with this `NAME=value` in its environment."""
    return mark in _environment(pid)


def value_of(pid: int, name: bytes) -> bytes | None:
    """What a variable was in the environment with which a process was started."""
    start = name + b"="
    return next((one[len(start) :] for one in _environment(pid) if one.startswith(start)), None)


def environment(pid: int) -> dict[str, str]:
    """The variables with which a process was started; none where it is gone, or another user's."""
    pairs = (one.decode(errors="replace").partition("=") for one in _environment(pid) if b"=" in one)
    return {name: value for name, _, value in pairs}


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def children() -> list[int]:
    """The children of this process, those it inherited as a subreaper included."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        try:
            found.extend(int(pid) for pid in (_PROC / "self/task" / task / "children").read_text().split())
        except OSError:
            continue
    return found


def descendants(roots: Iterable[int], table: dict[int, Process]) -> set[int]:
    """The roots that exist and everything below them."""
    below: dict[int, list[int]] = {}
    for one in table.values():
        below.setdefault(one.parent, []).append(one.pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(below.get(pid, ()))
    return found
