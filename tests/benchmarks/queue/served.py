"""A real engine in a process of its own: from a submit to the moment the child runs, and what it costs while idle.

The child tells that it runs by one byte in a FIFO, written by a builtin of the shell. Another process waits at the
FIFO and notes the monotonic clock, so that no clock is read through this process's event loop or its lock. The bare
spawn is the same child, told by the same FIFO. Between the two stands the floor of a durable queue: a commit for the
submit, a commit for the claim, and then the spawn.

An attempt makes half a dozen files. For about a minute after thousands of files were deleted, ext4 took up to fifty
times as long to make one, and a start four times as long; so the time of one new file is taken beside the starts.
"""

from __future__ import annotations

import asyncio
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.launch import start_engine
from engine.model import JobSpec
from engine.server.client import Client
from tests.benchmarks.queue.raw import Minimal
from tests.benchmarks.queue.systems import Size

PATIENCE = 30.0  #: seconds for one child to start, and for the engine to stop
SETTLE_SECONDS = 2.0  #: after the last job, before the engine counts as idle
TICKS = os.sysconf("SC_CLK_TCK")

_STAMPER = "import os, time\nwhile os.read(0, 1): os.write(1, b'%d\\n' % time.monotonic_ns())"


class Stamps:
    """A process that notes when a byte comes through a FIFO."""

    def __init__(self, directory: Path) -> None:
        fifo = directory / "started"
        os.mkfifo(fifo)
        self.command = f"echo >{fifo}"
        self._fifo = os.open(fifo, os.O_RDWR)
        self._process = subprocess.Popen([sys.executable, "-c", _STAMPER], stdin=self._fifo, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._said = self._process.stdout

    def next(self) -> int:
        """Nanoseconds of the monotonic clock at which the next child ran. Raises `TimeoutError`."""
        ready, _, _ = select.select([self._said], [], [], PATIENCE)
        if not ready:
            raise TimeoutError("the child did not start")
        return int(self._said.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()
        os.close(self._fifo)


class Served:
    """An engine as users run it. Times are milliseconds from the call until the child runs, a list for each round."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, stamps: Stamps, raw: Minimal) -> None:
        self._process = process
        self._home = home
        self._stamps = stamps
        self._raw = raw
        self.submits: list[list[float]] = []
        self.floors: list[list[float]] = []
        self.spawns: list[list[float]] = []
        self.files: list[list[float]] = []
        """Milliseconds to make one empty file."""
        self.wakeups = 0.0
        """Voluntary context switches a second while idle, over all threads."""
        self.processor = 0.0
        """Per cent of one core while idle."""

    def round(self, starts: int) -> None:
        """So many starts of each kind, in turns."""
        for times in (self.submits, self.floors, self.spawns, self.files):
            times.append([])
        asyncio.run(self._starts(starts))

    async def _starts(self, starts: int) -> None:
        spec = JobSpec(prompt=self._stamps.command, agent="shell")
        async with Client(self._home) as client:
            for number in range(starts + 1):
                begun = time.monotonic_ns()
                await client.submit([spec])
                submit = (self._stamps.next() - begun) / 1e6
                await _until_quiet(client)
                floor, spawn = self._bare(commits=2), self._bare()
                file = self._file()
                if number:  # the first one opened the connection
                    self.submits[-1].append(submit)
                    self.floors[-1].append(floor)
                    self.spawns[-1].append(spawn)
                    self.files[-1].append(file)

    def _bare(self, commits: int = 0) -> float:
        """Milliseconds until the same child runs when nothing but commits and posix_spawn stands before it."""
        begun = time.monotonic_ns()
        for _ in range(commits):
            self._raw.submit_one()
        pid = os.posix_spawn("/bin/sh", ["/bin/sh", "-c", self._stamps.command], os.environ)
        took = (self._stamps.next() - begun) / 1e6
        os.waitpid(pid, 0)
        return took

    def _file(self) -> float:
        number = sum(map(len, self.files))
        begun = time.monotonic_ns()
        (self._home.parent / f"{number}.empty").touch()
        return (time.monotonic_ns() - begun) / 1e6

    def rest(self, seconds: float) -> None:
        """Measure it while it is left alone."""
        time.sleep(SETTLE_SECONDS)
        begun = time.perf_counter()
        switches, ran = _spent(self._process.pid)
        time.sleep(seconds)
        switches_after, ran_after = _spent(self._process.pid)
        took = time.perf_counter() - begun
        self.wakeups = (switches_after - switches) / took
        self.processor = 100 * (ran_after - ran) / took

    def medians(self) -> tuple[list[float], list[float]]:
        """Of the submits and of the bare spawns, a round each."""
        return [statistics.median(one) for one in self.submits], [statistics.median(one) for one in self.spawns]


@contextmanager
def serving(parent: Path) -> Iterator[Served]:
    """Start an engine, and end it by its pid."""
    directory = parent / "served"
    directory.mkdir()
    stamps = Stamps(directory)
    raw = Minimal(directory, Size("empty", 0, 0))
    try:
        process = start_engine(directory / "home")
        try:
            yield Served(process, directory / "home", stamps, raw)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        raw.close()
        stamps.close()


async def _until_quiet(client: Client) -> None:
    """The job has been settled, so that its end does not fall into the next start."""
    async with asyncio.timeout(PATIENCE):
        while (await client.status()).counts.unfinished:
            await asyncio.sleep(0.005)


def _spent(pid: int) -> tuple[int, float]:
    """Voluntary context switches and processor seconds of all threads of a process."""
    switches, seconds = 0, 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                switches += int(line.split()[1])
        try:
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # a kernel without it counts in clock ticks
            user, system = (task / "stat").read_text().rpartition(")")[2].split()[11:13]
            seconds += (int(user) + int(system)) / TICKS
    return switches, seconds
