"""Work for days, as fast as the engine takes it, and samples of what the engine holds meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import HeadwayError
from engine.home import LOG, make_home
from engine.model import JobSpec, Workspace
from engine.rehearsal.fleet import make_project
from engine.server.client import Client
from engine.store.store import FILE
from engine.upkeep.wire import Prune
from tests.benchmarks.fleet.process import Held, Ran, favour
from tests.benchmarks.soak.clock import BEGUN, SPEED, fast

SLOTS = 16
ENOUGH = 96  #: unfinished jobs, past which nothing more is submitted
TOGETHER = 48  #: jobs of one submission
SAMPLE_SECONDS = 2.0
PRUNE_HOURS = 2  #: of the engine's clock, between two prunes
PATIENCE = 120.0
LAG = 'headway_loop_lag_seconds{quantile="0.99"}'
AGENT = Path(__file__).with_name("agent.sh")

SETTINGS = """\
max_running: {slots}
memory_reserve: 0
default_agent: shell
agents:
  rehearsal:
    command: [/bin/sh, {agent}]
    env: {{SOAK_SPEED: "{speed}", SOAK_BEGUN: "{begun}"}}
upkeep: {{compress_after: 1h, runs_for: 6h, worktrees_for: 3h, quarantine_for: 6h}}
schedules:
  ticking: {{cron: "*/20 * * * *", job: {{prompt: ":", agent: shell}}}}
  hourly: {{cron: "@hourly", overlap: queue, job: {{prompt: "echo scheduled", agent: shell}}}}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The engine at one moment. MiB, counts, milliseconds."""

    hours: float
    """By its own clock, since it was started."""
    jobs: int
    """That had ended."""
    cpu: float
    """Of one core, since the sample before."""
    resident: float
    proportional: float
    files: int
    threads: int
    wal: float
    database: float
    runs: int
    """Run directories that are kept."""
    lag: float


@contextmanager
def serving(home: Path, speed: float, nice: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """An engine with a clock so many times as fast: its pid and that clock."""
    begun = time.time_ns()
    make_home(home)
    (home / "headway.yaml").write_text(SETTINGS.format(slots=SLOTS, agent=AGENT, speed=round(speed), begun=begun))
    reading, writing = os.pipe()
    command = [
        sys.executable, "-m", "tests.benchmarks.soak.engine", "--home", str(home), "serve",
        "--ready-fd", str(writing), "--log-file", str(home / LOG),
    ]  # fmt: skip
    env = {**os.environ, SPEED: str(round(speed)), BEGUN: str(begun)}
    process = subprocess.Popen(command, pass_fds=(writing,), env=env, start_new_session=True)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as ready:
            assert ready.read(6) == b"ready\n", "the engine did not come up"
        favour(process.pid, nice)
        yield process.pid, fast(round(speed), begun)
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Course:
    """One soak of so many jobs."""

    def __init__(self, home: Path, pid: int, clock: Callable[[], int], jobs: int) -> None:
        self._home = home
        self._pid = pid
        self._clock = clock
        self._jobs = jobs
        self._dice = random.Random(7)
        self._begun = clock()
        self.samples: list[Sample] = []
        self.pruned = 0
        self._project = home.parent / "project"
        make_project(self._project)

    async def run(self, tell: Callable[[Sample], None]) -> None:
        async with Client(self._home) as client, asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(what(client)) for what in (self._follow, self._prune)]
            sampling = tasks.create_task(self._sample(client, tell))
            await self._submit(client)
            sampling.cancel()
            for task in beside:
                task.cancel()

    async def _submit(self, client: Client) -> None:
        while (counts := (await client.status()).counts) and self._ended_of(counts) < self._jobs:
            if counts.unfinished < ENOUGH:
                await client.submit([self._spec() for _ in range(TOGETHER)])
            await asyncio.sleep(0.1)

    def _spec(self) -> JobSpec:
        """Nearly all are the shortest there is; some speak, some print a little, a few have a worktree."""
        one = self._dice.random()
        if one < 0.05:
            return JobSpec(prompt="look at it", agent="rehearsal", model="fix-bug")
        if one < 0.06:
            return JobSpec(
                prompt="echo more >>README.md", agent="shell", project=str(self._project), workspace=Workspace.WORKTREE
            )
        if one < 0.08:
            return JobSpec(prompt="exit 3", agent="shell", max_attempts=1)
        return JobSpec(prompt="echo done" if one < 0.3 else ":", agent="shell", priority=self._dice.randrange(10))

    async def _follow(self, client: Client) -> None:
        """A console that is there all the time."""
        async for _ in client.follow():
            pass

    async def _prune(self, client: Client) -> None:
        at = self._clock()
        while True:
            if self._clock() - at > PRUNE_HOURS * 3_600_000:
                at = self._clock()
                with contextlib.suppress(HeadwayError):
                    self.pruned += (await client.prune(Prune(older_than="2h"))).jobs
            await asyncio.sleep(0.2)

    def _ended_of(self, counts: object) -> int:
        ended = sum(getattr(counts, name) for name in ("succeeded", "failed", "cancelled"))
        return int(ended) + self.pruned

    async def _sample(self, client: Client, tell: Callable[[Sample], None]) -> None:
        before = Ran.of([self._pid])
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            ran, held = Ran.of([self._pid]), Held.of(self._pid)
            counts, figures = (await client.status()).counts, await client.metrics()
            lag = next(
                line for line in figures.splitlines() if line.startswith('headway_loop_lag_seconds{quantile="0.99"}')
            )
            self.samples.append(
                Sample(
                    hours=(self._clock() - self._begun) / 3_600_000,
                    jobs=self._ended_of(counts),
                    cpu=ran.cores(before, self._pid),
                    resident=held.resident,
                    proportional=held.proportional,
                    files=held.files,
                    threads=held.threads,
                    wal=_mib(self._home / f"{FILE}-wal"),
                    database=_mib(self._home / FILE),
                    runs=len(os.listdir(self._home / "runs")),
                    lag=float(lag.split()[-1]) * 1000,
                )
            )
            before = ran
            tell(self.samples[-1])


def _mib(path: Path) -> float:
    return path.stat().st_size / (1 << 20) if path.exists() else 0.0
