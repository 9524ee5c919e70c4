"""`python -m tests.benchmarks.simulate`: the simulation against the engine itself, on the same jobs.

A real engine in a process of its own runs rehearsal jobs: real submits, claims, processes, settlements. The simulation
then has the same jobs at the same moments, on as many slots, twice: once it is told how long each attempt took (the
queue alone is the model's), once only how long one takes beside the calls of its model (the median: all is foretold).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from msgspec.structs import replace

from console.launch import start_engine
from engine.model import JobSpec, Workspace
from engine.rehearsal.day import Kind
from engine.server.client import Client
from engine.simulation.course import Course
from engine.simulation.errands import Errand
from engine.simulation.report import Report, report, spread
from engine.simulation.scenario import Accounts, Arrivals, Hosts, Scenario
from engine.units import span

CALL_MS = 150
PATIENCE = 300.0  #: seconds for all jobs to end, and for the engine to stop
ACCOUNT_SLOTS = 4
KINDS = {"quick": Kind(share=4, calls=(1, 4), priority=3), "long": Kind(share=1, calls=(10, 30), priority=6)}


@dataclass(frozen=True, slots=True)
class Ran:
    """One job of the real run. Times are milliseconds UTC."""

    number: int
    came: int
    begun: int
    ended: int


@dataclass(frozen=True, slots=True)
class Real:
    """What the engine made of the jobs."""

    jobs: list[Ran]
    events: Counter[str]

    def overhead(self, errands: Sequence[Errand]) -> int:
        """What an attempt takes beside the calls of its model: the median, in milliseconds."""
        return round(
            statistics.median(one.ended - one.begun - errands[one.number].calls * CALL_MS for one in self.jobs)
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulate", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--slots", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=30.0, help="over which the jobs come")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    errands = drawn(asked.jobs, asked.seconds, asked.seed)
    with tempfile.TemporaryDirectory(prefix="headway-simulate-") as folder:
        real = run(Path(folder), errands, asked.slots)
    told, foretold = (simulated(errands, real, asked.slots, asked.seed, told=told) for told in (True, False))
    show(errands, real, told, foretold, asked.slots)


def drawn(count: int, seconds: float, seed: int) -> list[Errand]:
    """Jobs that come in two waves, on two accounts and two projects. `comes` is milliseconds from the beginning."""
    dice = random.Random(seed)
    half = seconds * 500
    times = sorted(dice.triangular(0, half, half / 4) + half * dice.randrange(2) for _ in range(count))
    found = []
    for comes in times:
        kind = dice.choices(list(KINDS), [one.share for one in KINDS.values()])[0]
        calls = dice.randint(*KINDS[kind].calls)
        account, project = dice.choice(["a-0", "b-0"]), dice.choice(["one", "two"])
        found.append(Errand(round(comes), account, project, kind, KINDS[kind].priority, calls))
    return found


def run(folder: Path, errands: Sequence[Errand], slots: int) -> Real:
    """Give the jobs to an engine in a process of its own, each at its time, and wait for all of them."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    accounts = {name: {"agent": "rehearsal", "max_running": ACCOUNT_SLOTS} for name in ("a-0", "b-0")}
    (home / "headway.yaml").write_text(yaml.safe_dump({"max_running": slots, "accounts": accounts}))
    for errand in errands:
        (folder / errand.project).mkdir(exist_ok=True)
        steps = [{"do": "say", "text": "so it goes", "pause": CALL_MS} for _ in range(errand.calls)]
        script = {"about": "Calls.", "steps": steps}
        (folder / f"calls-{errand.calls}.yaml").write_text(yaml.safe_dump(script))
    with engine(home):
        asyncio.run(give(home, folder, errands))
    return read(home)


@contextmanager
def engine(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start_engine(home)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


async def give(home: Path, folder: Path, errands: Sequence[Errand]) -> None:
    async with Client(home) as client:
        begun = time.monotonic()
        for errand in errands:
            await asyncio.sleep(max(0.0, begun + errand.comes / 1000 - time.monotonic()))
            await client.submit(
                [
                    JobSpec(
                        prompt="go",
                        agent="rehearsal",
                        model=str(folder / f"calls-{errand.calls}.yaml"),
                        account=errand.account,
                        project=str(folder / errand.project),
                        workspace=Workspace.PROJECT,
                        kind=errand.kind,
                        priority=errand.priority,
                    )
                ]
            )
        async with asyncio.timeout(PATIENCE):
            while (await client.status()).counts.unfinished:
                await asyncio.sleep(0.1)


def read(home: Path) -> Real:
    connection = sqlite3.connect(home / "headway.db")
    rows = connection.execute(
        "SELECT jobs.id, jobs.created_at, attempts.created_at, attempts.ended_at FROM jobs "
        "JOIN attempts ON attempts.job = jobs.id WHERE attempts.succeeded = 1 ORDER BY jobs.id"
    ).fetchall()
    events = connection.execute("SELECT json_extract(body, '$.kind') FROM events WHERE job IS NOT NULL").fetchall()
    others = connection.execute("SELECT failure, reason FROM attempts WHERE succeeded IS NOT 1").fetchall()
    connection.close()
    if others:
        raise SystemExit(f"{len(others)} attempts did not succeed, the first as {others[0]}: nothing to compare")
    return Real([Ran(job - 1, *times) for job, *times in rows], Counter(kind for (kind,) in events))


def simulated(errands: Sequence[Errand], real: Real, slots: int, seed: int, *, told: bool) -> Report:
    """The same jobs, at the moments at which the engine accepted them, in the simulation.

    `told`: with the time that each attempt took; else with the median of what they take beside their calls.
    """
    zero = real.jobs[0].came // 1000 * 1000
    account = Accounts(agent="rehearsal", count=1, slots=ACCOUNT_SLOTS)
    scenario = Scenario(
        about="the real run's jobs",
        begins=datetime.fromtimestamp(zero / 1000, UTC),
        lasts=f"{real.jobs[-1].ended - zero + 600_000}ms",
        hosts=Hosts(count=1, slots=slots),
        startup=f"{real.overhead(errands)}ms",
        call=f"{CALL_MS}ms",
        accounts={"a": account, "b": replace(account)},
        kinds=KINDS,
        arrivals=Arrivals(jobs=len(errands), hours=[1.0] * 24),
    )
    same = [_as(one, errand, told=told) for errand, one in zip(errands, real.jobs, strict=True)]
    course = Course(scenario, seed, same)
    course.run()
    return report("real", course, seed)


def _as(ran: Ran, errand: Errand, *, told: bool) -> Errand:
    """A job of the real run for the simulation."""
    startup = max(0, ran.ended - ran.begun - errand.calls * CALL_MS) if told else None
    return dataclasses.replace(errand, comes=ran.came, startup=startup)


def show(errands: Sequence[Errand], real: Real, told: Report, foretold: Report, slots: int) -> None:
    print(f"{len(errands)} jobs on {slots} slots, two accounts of {ACCOUNT_SLOTS}, {CALL_MS} ms a call; ", end="")
    print(f"an attempt takes {real.overhead(errands)} ms beside them\n")
    print(f"{'':<22}{'real':>10}{'model':>10}{'':>10}{'foretold':>10}")
    for sort, other in zip(told.kinds, foretold.kinds, strict=True):
        runs = [one for one in real.jobs if errands[one.number].kind == sort.kind]
        waits = spread([one.begun - one.came for one in runs])
        flows = spread([one.ended - one.came for one in runs])
        for what, rows in (
            ("wait", (waits, sort.wait, other.wait)),
            ("done", (flows, sort.flow, other.flow)),
        ):
            for name in ("p50", "p95", "most"):
                _line(f"{sort.kind}, {what} {name}", *(getattr(one, name) for one in rows))
    count = len(real.jobs)
    waited = sum(one.begun - one.came for one in real.jobs)
    _line("wait, mean", *(round(one / count) for one in (waited, told.waited, foretold.waited)))
    took = sum(one.ended - one.begun for one in real.jobs)
    _line("slots taken, all", took, *(round(one.busy * one.hours * 3_600_000 * slots) for one in (told, foretold)))
    for name, rate in (("submitted", told.submits), ("claimed", told.claims), ("succeeded", told.settles)):
        print(f"{name:<22}{real.events[name]:>10,}{rate.total:>10,}")
    print(f"{'lines of the log':<22}{sum(real.events.values()):>10,}{told.events.total:>10,}")
    print(f"of the real: {', '.join(f'{n:,} {kind}' for kind, n in sorted(real.events.items()))}")


def _line(name: str, real: int, *models: int) -> None:
    cells = [f"{span(one):>10}{_share(one, real):>10}" for one in models]
    print(f"{name:<22}{span(real):>10}{''.join(cells)}")


def _share(model: int, real: int) -> str:
    return f"{(model - real) / real:+.1%}" if real else ""


if __name__ == "__main__":
    main()
