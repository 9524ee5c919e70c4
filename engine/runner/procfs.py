"""What /proc tells of processes. Linux only, as the subreaper and cgroups are.

Fields of /proc/PID/stat: proc_pid_stat(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


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
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses itself: count from the last one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0].decode(),
        started=int(fields[19]),
        threads=int(fields[17]),
    )


def identity(pid: int) -> Identity | None:
    found = process(pid)
    return Identity(pid, found.started, boot_id()) if found else None


def is_alive(who: Identity) -> bool:
    """Whether that very process still runs."""
    if who.boot != boot_id():
        return False
    found = process(who.pid)
    return found is not None and found.started == who.started and not found.is_gone


def processes() -> dict[int, Process]:
    """All processes of the machine that can be seen, by pid."""
    found = {}
    for name in os.listdir(_PROC):
        if name.isdigit() and (one := process(int(name))) is not None:
            found[one.pid] = one
    return found


def carries(pid: int, mark: bytes) -> bool:
    """Whether a process was started with this `NAME=value` in its environment."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return mark in environment.split(b"\0")


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
