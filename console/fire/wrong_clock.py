"""`headway`, with a wall clock that can be set from outside: the machine's own is nothing that a drill may touch.

Run as a module in the place of the command line. What asks Python for the time hears the machine's and what stands in
a file, in seconds. A signal says that the file was written, as the kernel says it of a clock that was set: what waits
for a moment of the wall clock is woken.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType
from weakref import WeakSet

FILE = "HEADWAY_DRILL_CLOCK"  #: the variable that names the file
SIGNAL = signal.SIGUSR1


class WrongClock:
    """How far it is ahead, and whose timers go by it."""

    def __init__(self, file: Path) -> None:
        from engine.alarm import Alarm

        self._file = file
        self._ahead_ns = 0
        self._alarms: WeakSet[Alarm] = WeakSet()
        self._true_ns = time.time_ns
        self._make, self._arm = Alarm._make, Alarm._set

    def wind(self) -> None:
        """Let this process go by it."""
        from engine.alarm import Alarm

        def make(alarm: Alarm) -> int | None:
            self._alarms.add(alarm)
            return self._make(alarm)

        def arm(alarm: Alarm, at: int | None) -> bool:
            return self._arm(alarm, None if at is None else max(1, at - self._ahead_ns // 1_000_000))

        setattr(Alarm, "_make", make)  # noqa: B010 - a type checker would have it that nobody may
        setattr(Alarm, "_set", arm)  # noqa: B010
        time.time_ns = lambda: self._true_ns() + self._ahead_ns
        time.time = lambda: (self._true_ns() + self._ahead_ns) / 1e9
        signal.signal(SIGNAL, self._was_set)

    def _was_set(self, number: int, frame: FrameType | None) -> None:
        self._ahead_ns = int(self._file.read_text()) * 1_000_000_000
        for alarm in tuple(self._alarms):
            alarm.wake()


if __name__ == "__main__":
    from console.cli import main

    WrongClock(Path(os.environ[FILE])).wind()
    main()
