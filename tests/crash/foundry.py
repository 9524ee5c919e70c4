"""Starts real engines fast: a process that has loaded everything forks one for each start.

Each engine is a process of its own that runs what `headway serve` runs, on the real lock, socket and database. A line
of JSON on standard input (`Wanted`) starts one; on standard output come lines about it (`Said`).

Nothing in the engine knows of this. That one dies before its n-th step is done by Python's own profiler, which is told
of every function before it is called; steps are those calls with which an engine leaves a mark outside itself.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from engine.agents.registry import read_settings
from engine.config import find_settings
from engine.home import LOG, make_home
from engine.runner import reaper
from engine.server.serve import Terms, serve
from tests.crash.chores import CHORES

#: Functions in C with which something changes that outlives the engine.
STEPS = frozenset({
    "execute", "executemany", "posix_spawnp", "kill", "killpg", "open", "write", "pwrite", "ftruncate", "fsync",
    "mkdir", "rename", "replace", "unlink", "remove", "rmdir", "utime", "flock", "bind", "waitpid", "send",
})  # fmt: skip


class Wanted(msgspec.Struct, frozen=True):
    """An engine to start."""

    home: str
    later_ms: int
    """Its clock is so far ahead: there is something to prune only once a day has gone by."""
    steps: int = 0
    """It dies before its step of that number; 0 is never."""
    step: str = ""
    """Only calls of this function are counted as steps."""
    env: dict[str, str] = {}
    chore: str = ""
    """Instead of serving, do this one of `CHORES`."""


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an engine: `born`, then `ready` where it came to answer, then `dead`."""

    what: str
    pid: int
    code: int = 0
    """As `subprocess` has it: negative for a signal."""
    before: str = ""
    """The function before whose call it killed itself."""
    took: int = 0
    """How many steps it took, where it came to its end."""


class Fate:
    """Counts steps, and kills the process before the last of them."""

    def __init__(self, wanted: Wanted, last_words: int) -> None:
        self._number = itertools.count(1)  # counting is atomic: the writer's thread takes steps too
        self._steps = wanted.steps
        self._counted = frozenset({wanted.step}) if wanted.step else STEPS
        self._last_words = last_words

    def tell(self) -> None:
        """How many steps were taken."""
        os.write(self._last_words, str(next(self._number) - 1).encode())

    def watch(self) -> None:
        threading.setprofile(self._see)
        sys.setprofile(self._see)

    def _see(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in self._counted and next(self._number) == self._steps:
            os.write(self._last_words, called.__name__.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def run(wanted: Wanted, ready: int, last_words: int) -> None:
    """Be an engine, until it is asked to stop."""
    os.setsid()
    home = Path(wanted.home)
    make_home(home)
    log = os.open(home / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(here, there)
    os.environ.update(wanted.env)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    real = time.time_ns
    time.time_ns = lambda: real() + wanted.later_ms * 1_000_000  # what the engine's clock reads
    settings = read_settings(find_settings(home, home))
    if wanted.chore:
        fate = Fate(wanted, last_words)
        fate.watch()
        CHORES[wanted.chore](home, settings, wanted.later_ms)
        sys.setprofile(None)
        fate.tell()
        return
    if wanted.steps:
        Fate(wanted, last_words).watch()
    asyncio.run(serve(home, settings, Terms(ready)))


def fork(wanted: Wanted) -> tuple[int, int, int]:
    """Start an engine; its pid, and where it says that it is ready and what it does last."""
    ready, ready_end = os.pipe()
    words, words_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(ready)
            os.close(words)
            run(wanted, ready_end, words_end)
            code = 0
        except BaseException:  # noqa: BLE001 - its words go into the log, its code to the test
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(ready_end)
    os.close(words_end)
    return pid, ready, words


def until_dead(pid: int) -> int:
    """Wait for an engine; meanwhile reap the orphans of the ones before it, as init would."""
    while True:
        gone, status = os.wait()
        if gone == pid:
            return os.waitstatus_to_exitcode(status)


def say(said: Said) -> None:
    print(msgspec.json.encode(said).decode(), flush=True)


def main() -> None:
    reaper.become_subreaper()
    for line in sys.stdin:
        pid, ready, words = fork(msgspec.json.decode(line, type=Wanted))
        say(Said("born", pid))
        if os.read(ready, 100):
            say(Said("ready", pid))
        code = until_dead(pid)
        last = os.read(words, 1_000).decode()
        say(Said("dead", pid, code, *(("", int(last)) if last.isdigit() else (last,))))
        os.close(ready)
        os.close(words)


if __name__ == "__main__":
    main()
