"""One course: so many agents on an engine of its own, streaming for so long, and what came of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from console.launch import start_engine
from engine.model import JobSpec
from engine.server.client import Client
from engine.store.store import FILE
from tests.benchmarks.fleet.process import Held, Ran, favour
from tests.benchmarks.fleet.readers import Seen
from tests.benchmarks.fleet.script import CALLS, SHOWN, TURN
from tests.benchmarks.fleet.source import JOBS, TIMES, prepare

WARM_SECONDS = 4.0  #: before anything is measured: connections, caches, the price table
LAST_SECONDS = 2.0  #: after it, in which the source still writes
SHOWN_JOBS = 8  #: whose output is followed line by line, as on the console's screen of workers
PATIENCE = 180.0
SETTINGS = """\
max_running: {agents}
memory_reserve: 0
default_agent: rehearsal
agents:
  rehearsal:
    command: {command}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a course."""

    agents: int
    rate: float
    """Lines a second of each."""
    seconds: float
    """In which it is measured."""
    nice: int = 0
    """Of the engine."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one course came to. Shares are of one core, times milliseconds."""

    plan: Plan
    engine: float
    source: float
    console: float
    bare: float
    machine: float
    """Cores that were busy, with all else that ran."""
    load: float
    """Of the machine before the course, over a minute."""
    held: Held
    lag: float
    """Of the engine's loop, of 99 in 100 ticks."""
    seen: array[float]
    """From the writing of each line that a list shows until the console's link had that one, or a newer one."""
    told: array[float]
    """The same of each line of the jobs whose output is followed."""
    written: int
    late: float
    """The longest that the source was behind its own plan."""
    lost_in_store: int
    lost_in_sums: int
    lost_in_output: int
    lost_in_log: int

    @property
    def lost(self) -> int:
        return self.lost_in_store + self.lost_in_sums + self.lost_in_output + self.lost_in_log


def percentile(values: array[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("nan")


@contextmanager
def _program(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A program that says a line when it is ready, ended by its pid."""
    command = [sys.executable, "-m", f"tests.benchmarks.fleet.{module}", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _says(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    assert said == word, f"{process.args} said {said!r} instead of {word!r}"


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def run(plan: Plan, directory: Path, watch: Callable[[int, float], None] = lambda pid, seconds: None) -> Figures:
    """Run a course in a new directory. `watch` is called with the engine's pid and for how long it is measured."""
    home, load = directory / "home", os.getloadavg()[0]
    home.mkdir(mode=0o700, parents=True)
    command = msgspec.json.encode(prepare(directory)).decode()
    (home / "headway.yaml").write_text(SETTINGS.format(agents=plan.agents, command=command))
    engine = start_engine(home)
    favour(engine.pid, plan.nice)
    try:
        return _run(plan, directory, engine.pid, load, watch)
    finally:
        engine.terminate()
        engine.wait(PATIENCE)


def _run(plan: Plan, directory: Path, engine: int, load: float, watch: Callable[[int, float], None]) -> Figures:
    home = directory / "home"
    with ExitStack() as stack:
        start = stack.enter_context
        seconds = WARM_SECONDS + plan.seconds + LAST_SECONDS
        source = start(_program("source", directory, plan.agents, plan.rate, seconds))
        asyncio.run(_submit(home, plan.agents))
        _says(source, "ready")
        jobs = [int(job) for job in (directory / JOBS).read_text().split()]
        seen_file = directory / "seen"
        console = start(_program("readers", "console", home, seen_file, *jobs[:: -(-len(jobs) // SHOWN_JOBS)]))
        slow, bare = start(_program("readers", "slow", home)), start(_program("readers", "bare", home))
        for reader in (console, slow, bare):
            _says(reader, "ready")
        _tell(source)
        time.sleep(WARM_SECONDS)
        pids = [engine, source.pid, console.pid, bare.pid]
        before = Ran.of(pids)
        watch(engine, plan.seconds)
        time.sleep(max(0.0, plan.seconds - (time.monotonic() - before.at)))
        after, held, lag = Ran.of(pids), Held.of(engine), asyncio.run(_lag(home))
        _says(source, "written")
        time.sleep(LAST_SECONDS)  # what was written last is to reach the link
        newest = asyncio.run(_newest(home))
        console.terminate()
        console.wait(PATIENCE)
        _tell(source)
        asyncio.run(_ended(home, jobs))
        times = array("q", (directory / TIMES).read_bytes())
        seen = msgspec.msgpack.decode(seen_file.read_bytes(), type=Seen)
    window = (before.at * 1e9, after.at * 1e9)
    lines = len(times) // len(jobs)
    own = len(jobs)
    return Figures(
        plan, after.cores(before, engine), after.cores(before, source.pid), after.cores(before, console.pid),
        after.cores(before, bare.pid), after.machine(before), load, held, lag,
        seen=_behind(seen.progress, times, jobs, window, SHOWN),
        told=_behind(seen.lines, times, jobs, window, tuple(range(TURN))),
        written=len(times),
        late=max((at - times[0]) / 1e6 - number * 1000 / (plan.rate * own) for number, at in enumerate(times)),
        lost_in_store=abs(_turns(home) - own * -(-lines // TURN)),
        lost_in_sums=sum(_calls(lines) - seen.calls.get(job, 0) for job in jobs),
        lost_in_output=_missing(seen, lines),
        lost_in_log=newest - len(set(seen.seqs)) - (min(seen.seqs) - 1 if seen.seqs else newest),
    )  # fmt: skip


async def _submit(home: Path, count: int) -> None:
    async with Client(home) as client:
        specs = [JobSpec(prompt=f"agent {number}", agent="rehearsal", model="fix-bug") for number in range(count)]
        await client.submit(specs)


async def _newest(home: Path) -> int:
    async with Client(home) as client:
        return (await client.status()).seq


async def _lag(home: Path) -> float:
    async with Client(home) as client:
        text = await client.metrics()
    found = next(line for line in text.splitlines() if line.startswith('headway_loop_lag_seconds{quantile="0.99"}'))
    return float(found.split()[-1]) * 1000


async def _ended(home: Path, jobs: list[int]) -> None:
    async with asyncio.timeout(PATIENCE), Client(home) as client:
        while (await client.status()).counts.unfinished:
            await asyncio.sleep(0.2)
        ended = (await client.status()).counts
        assert ended.succeeded == len(jobs), f"of {len(jobs)} jobs {ended.succeeded} went well"


def _behind(
    seen: list[tuple[int, int, int]],
    times: array[int],
    jobs: list[int],
    window: tuple[float, float],
    places: tuple[int, ...],
) -> array[float]:
    """Milliseconds from the writing of each line of the window until it, or a newer one of its job, was seen.

    Of each turn only the lines at some places count. What was not seen at all is lost, which is counted elsewhere.
    """
    agent = {job: number for number, job in enumerate(jobs)}
    reached: dict[int, int] = defaultdict(int)
    found: array[float] = array("d")
    for at, job, number in seen:
        for line in range(reached[job], number + 1):
            written = times[line * len(jobs) + agent[job]]
            if line % TURN in places and window[0] <= written <= window[1]:
                found.append((at - written) / 1e6)
        reached[job] = max(reached[job], number + 1)
    return found


def _calls(lines: int) -> int:
    """Calls of tools in so many lines of an agent."""
    turns, rest = divmod(lines, TURN)
    return turns * CALLS + sum(place % 2 == 1 and place < TURN - 1 for place in range(rest))


def _missing(seen: Seen, lines: int) -> int:
    """Lines of the followed jobs that were not told, or out of order, or twice."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for _, job, number in seen.lines:
        numbers[job].append(number)
    return sum(lines - len(found) if found == sorted(set(found)) else lines for found in numbers.values()) + (
        lines * (SHOWN_JOBS - len(numbers)) if len(numbers) < SHOWN_JOBS and not numbers else 0
    )


def _turns(home: Path) -> int:
    """Messages that the ledger holds."""
    connection = sqlite3.connect(f"{(home / FILE).as_uri()}?mode=ro", uri=True)
    try:
        found = connection.execute("SELECT count(*) FROM ledger WHERE message LIKE 'msg!_%' ESCAPE '!'").fetchone()
        return int(found[0])
    finally:
        connection.close()
