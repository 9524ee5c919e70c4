"""What the kernel says of a process, and of the machine beside it."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Ran:
    """Processor seconds until a moment."""

    at: float
    own: dict[int, float]
    """By pid; without what has gone."""
    busy: float
    """Of the whole machine."""

    @classmethod
    def of(cls, pids: list[int]) -> Ran:
        # The kernel counts the whole machine's in ticks: user, nice, system, idle, iowait, irq, softirq, steal.
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ticks = [int(word) for word in words]
        own = {pid: spent for pid in pids if (spent := _spent(pid)) is not None}
        return cls(time.monotonic(), own, (sum(ticks) - ticks[3] - ticks[4]) / _TICKS)

    def cores(self, since: Ran, pid: int) -> float:
        """How much of one core a process took since then."""
        return (self.own[pid] - since.own[pid]) / (self.at - since.at)

    def machine(self, since: Ran) -> float:
        """How many cores were busy."""
        return (self.busy - since.busy) / (self.at - since.at)


def _spent(pid: int) -> float | None:
    """Of all its threads, those that have ended included."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(user) + int(system)) / _TICKS


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: MiB, and counts."""

    resident: float
    proportional: float
    """What it shares divided by those that share it."""
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Held:
        rolled = dict(
            line.split()[:2] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
        )
        return cls(
            int(rolled["Rss:"]) / 1024,
            int(rolled["Pss:"]) / 1024,
            len(os.listdir(f"/proc/{pid}/fd")),
            len(os.listdir(f"/proc/{pid}/task")),
        )


def favour(pid: int, nice: int) -> None:
    """Put a process before others, or behind them: by its own number, and by that of its session where these count."""
    if nice:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with contextlib.suppress(OSError):  # a kernel without groups by session
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))
