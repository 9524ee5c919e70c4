"""What is measured of a console in a terminal: bytes exactly, times and CPU as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from console.actions import BY_ID
from console.screens.places import PLACES
from tests.benchmarks.console.terminal import Terminal

SIZE = (160, 50)
PAGE_DOWN = "\x1b[6~"
ESCAPE = "\x1b"
#: What stands on the first screen once it has been drawn whole.
READY = "last hour"
#: What stands on each screen that is measured: the last job in sight; the last worker.
SHOWN = {"queue": "J45", "workers": "J8"}


@contextmanager
def console(
    jobs: int,
    link: str,
    what: str = "idle",
    *,
    stock: bool = False,
    size: tuple[int, int] = SIZE,
    place: str = "queue",
    shown: str = "",
) -> Iterator[Terminal]:
    """The console on a stand-in engine, up and silent, or busy."""
    command = [sys.executable, "-m", "tests.benchmarks.console.fleet", str(jobs), link, what]
    env = {"HEADWAY_BENCH_PAINTER": "stock"} if stock else {}
    with Terminal(command, *size, env, screen=size != SIZE) as terminal:
        terminal.says(READY)
        terminal.press(_key_of(place))
        terminal.says(shown or SHOWN[place])
        if what == "idle":
            terminal.settle()
        else:
            terminal.listen(1.0)
        yield terminal


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that things cost on a line."""

    idle: float
    """A second."""
    key: int
    page: int
    switch: int
    question: int
    asked_of: str = ""
    """The screen that was the dearest to switch to."""


def bytes_of(terminal: Terminal) -> Bytes:
    """What keys cost on the queue, and the dearest of all switches."""
    key = max(terminal.cost(key) for key in "jjjk")
    page = max(terminal.cost(PAGE_DOWN) for _ in range(3))
    question = terminal.cost("x") + terminal.cost("n")
    terminal.cost("g")
    switches: dict[str, int] = {}
    for place in (*PLACES, *reversed(PLACES), *PLACES):
        switches[place.name] = max(switches.get(place.name, 0), terminal.cost(_key_of(place.name)))
    dearest = max(switches, key=switches.__getitem__)
    idle = terminal.listen(2.0) / 2.0
    return Bytes(idle, key, page, switches[dearest], question, dearest)


def _key_of(place: str) -> str:
    return BY_ID[f"go_{place}"].keys[0]


def flow(terminal: Terminal, seconds: float = 2.0) -> tuple[float, float]:
    """Bytes a second, and the share of a core, while it is busy."""
    before = _cpu(terminal)
    start = time.monotonic()
    count = terminal.listen(seconds)
    took = time.monotonic() - start
    return count / took, (_cpu(terminal) - before) / took


def _cpu(terminal: Terminal) -> float:
    times = terminal.process.cpu_times()
    return times.user + times.system


def memory(terminal: Terminal) -> float:
    """MiB that the process has for itself now."""
    return terminal.process.memory_info().rss / (1 << 20)
