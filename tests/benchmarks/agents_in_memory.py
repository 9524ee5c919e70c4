"""How many real agents fit into memory: `claude`, each in the middle of a job, against a model server on loopback.

Each works as in a job: the engine starts it, it asks the model, runs a command, and waits for the model's next answer,
which does not come. So it holds what a working agent holds. In steps of ten the memory of their processes is read
(PSS: what they share is divided among them; USS: what is a process' own; RSS counts what is shared for each), and what
the whole machine has less, where others may be at work too. Then an engine with a budget is given more jobs than fit,
to see where it stops starting.

    python -m tests.benchmarks.agents_in_memory [--step 10] [--most 12G] [--leave 6G] [--budget 4G]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.config import Settings
from engine.engine import Engine
from engine.model import Cause, JobSpec, Order, State, Verb
from engine.runner import procfs
from engine.runner.tree import MARKER
from engine.serving import serving
from engine.submission import Wanted
from engine.units import amount, size
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import AGENTS, PACKAGES, installed, settings

CLAUDE = AGENTS[0]
START_SECONDS = 900.0  #: for a step: a claude takes a core for a second to start, and others may be at work here
SETTLE_SECONDS = 6.0  #: three looks of the engine at what its attempts hold
STILL = 4  #: looks in a row at which as many run as before: admission has come to its end


@dataclass(frozen=True, slots=True)
class Row:
    """So many agents at once. Bytes."""

    agents: int
    pss: int
    """The median of one agent's processes."""
    uss: int
    rss: int
    whole: int
    """PSS of all of them."""
    machine: int
    """What the machine has available less than with none: whatever else went on there is in it."""
    told: int
    """The median of what the engine takes one to hold."""


async def trees(engine: Engine, jobs: Sequence[int]) -> list[list[int]]:
    """The processes of each job's attempt, and of nobody else's: other engines may be at work on this machine."""
    wanted = {one.marker for job in jobs for one in await engine.store.read.attempts(job)}

    def look() -> list[list[int]]:
        found: dict[str, list[int]] = {}
        for pid in procfs.processes():
            mark = (procfs.value_of(pid, MARKER.encode()) or b"").decode()
            if mark in wanted and pid != os.getpid():
                found.setdefault(mark, []).append(pid)
        return list(found.values())

    return await asyncio.to_thread(look)


def held(pids: Sequence[int]) -> tuple[int, int, int]:
    """PSS, USS and RSS of processes together."""
    sums = [0, 0, 0]
    for pid in pids:
        try:
            full = psutil.Process(pid).memory_full_info()
        except psutil.Error:
            continue
        for place, value in enumerate((full.pss, full.uss, full.rss)):
            sums[place] += value
    return sums[0], sums[1], sums[2]


async def submit(engine: Engine, count: int) -> list[int]:
    jobs = [JobSpec(prompt="look around and tell what is here", title="Look", agent="claude") for _ in range(count)]
    return (await engine.submit(Wanted(jobs))).ids


async def until_working(server: ModelServer, count: int) -> None:
    """Until so many calls of the model have been taken: two of each agent."""
    async with asyncio.timeout(START_SECONDS):
        while len(server.requests) < count:
            await asyncio.sleep(0.2)


async def told_by(engine: Engine, jobs: Sequence[int]) -> list[int]:
    """What the engine takes each to hold."""
    details = [await engine.job(job) for job in jobs]
    nows = [one.attempts[0].now for one in details if one.attempts]
    return [one.memory for one in nows if one is not None and one.memory]


async def cancel(engine: Engine, jobs: Sequence[int]) -> None:
    await engine.act(Order(verb=Verb.CANCEL, jobs=list(jobs)), "benchmark")
    while True:
        seq = engine.hub.seq
        if all(row.ended_at is not None for row in await engine.store.read.rows(list(jobs))):
            return
        await engine.hub.changed(seq, 1 << 62)


def script(count: int) -> list[Step]:
    """For so many agents: a command, then a wait. They come in any order, and all wait in the end."""
    wait = asyncio.Event()
    return [one for _ in range(count) for one in (Step("I look.", run="ls -la; true"), Step("...", wait=wait))]


async def ramp(home: Path, step: int, most: int, leave: int) -> list[Row]:
    """In steps, until so much is used or no more than so much is left."""
    rows: list[Row] = []
    total = psutil.virtual_memory().total
    steps = script(total // (64 << 20))
    async with model_server(steps) as server:
        made = Settings(max_running=1_000, grace=1.0, memory_reserve=0, agents={"claude": settings(CLAUDE, server.url)})
        async with serving(home, made) as engine:
            before = psutil.virtual_memory().available
            jobs: list[int] = []
            try:
                while True:
                    jobs += await submit(engine, step)
                    await until_working(server, 2 * len(jobs))
                    await asyncio.sleep(SETTLE_SECONDS)
                    row = await measured(engine, jobs, before)
                    rows.append(row)
                    show(rows, row)
                    coming = step * (row.whole // row.agents)
                    used, left = max(row.whole, row.machine) + coming, psutil.virtual_memory().available - coming
                    if used > most or left < leave:
                        return rows
            finally:
                await cancel(engine, jobs)


async def measured(engine: Engine, jobs: Sequence[int], before: int) -> Row:
    found = [await asyncio.to_thread(held, pids) for pids in await trees(engine, jobs)]
    told = await told_by(engine, jobs)
    pss, uss, rss = (round(statistics.median(one[place] for one in found)) for place in range(3))
    less = before - psutil.virtual_memory().available
    return Row(len(jobs), pss, uss, rss, sum(one[0] for one in found), less, round(statistics.median(told)))


def show(rows: list[Row], row: Row) -> None:
    if len(rows) == 1:
        print("| agents | PSS of one | USS | RSS | PSS of all | a further one | machine | the engine says of one |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    then = rows[-2] if len(rows) > 1 else Row(0, 0, 0, 0, 0, 0, 0)
    more = (row.whole - then.whole) // (row.agents - then.agents)
    cells = [amount(max(0, one)) for one in (row.pss, row.uss, row.rss, row.whole, more, row.machine, row.told)]
    print(f"| {row.agents} | {' | '.join(cells)} |", flush=True)


def extrapolated(rows: list[Row]) -> None:
    """By the slope between the first step and the last."""
    first, last = rows[0], rows[-1]
    if first is last:
        print("\nOne step is no slope: nothing is extrapolated.")
        return
    slope = (last.whole - first.whole) / (last.agents - first.agents)
    common = max(0.0, first.whole - slope * first.agents)
    total, reserve = psutil.virtual_memory().total, size(Settings().memory_reserve)
    base = total - psutil.virtual_memory().available
    print(
        f"\nFrom {first.agents} to {last.agents} agents, each further one takes {amount(round(slope))} (PSS of all), "
        f"on top of {amount(round(common))} that they share. Extrapolated, and not run:"
    )
    for words, free in (
        (f"beside what is used here without them ({amount(base)})", total - base),
        ("with the machine to themselves", total),
    ):
        fits = int((free - reserve - common) / slope)
        print(f"  {fits} in {amount(total)} {words}, less {amount(reserve)} that stay free")


async def admission(home: Path, budget: str) -> None:
    """Give an engine with a budget more jobs than fit, and see where it stops."""
    wanted = size(budget) // (100 << 20)
    async with model_server(script(wanted)) as server:
        own = settings(CLAUDE, server.url)
        made = Settings(max_running=1_000, grace=1.0, memory_budget=budget, agents={"claude": own})
        async with serving(home, made) as engine:
            jobs = await submit(engine, wanted)
            try:
                runs = await until_still(engine, server, jobs)
                told = await told_by(engine, runs)
                found = [await asyncio.to_thread(held, pids) for pids in await trees(engine, runs)]
                waits = next(job for job in jobs if job not in runs)
                why = await engine.foresight.waiting(await engine.row(waits))
            finally:
                await cancel(engine, jobs)
    text = next(one.text for one in why if one.cause is Cause.MEMORY)
    print(f"\nWith memory_budget: {budget} and {wanted} jobs, {len(runs)} run; the next one waits: {text}.")
    whole = sum(one[0] for one in found)
    print(f"They hold {amount(whole)} by PSS; as the engine counts, each by itself, {amount(sum(told))}.")


async def until_still(engine: Engine, server: ModelServer, jobs: list[int]) -> list[int]:
    """The jobs that run, once no more are started."""
    seen: list[int] = []
    async with asyncio.timeout(START_SECONDS):
        while len(seen) < STILL or len(set(seen[-STILL:])) > 1 or len(server.requests) < 2 * seen[-1]:
            await asyncio.sleep(SETTLE_SECONDS / 2)
            rows = await engine.store.read.rows(jobs)
            seen.append(sum(row.state is State.RUNNING for row in rows))
    return [row.id for row in rows if row.state is State.RUNNING]


async def main(step: int, most: int, leave: int, budget: str) -> None:
    installed("claude")
    print(f"{PACKAGES['claude']}, {amount(psutil.virtual_memory().total)}, {psutil.cpu_count()} cores\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        rows = await ramp(home, step, most, leave)
        await asyncio.sleep(SETTLE_SECONDS)  # what was cancelled has given its memory back
        extrapolated(rows)
        await admission(home, budget)  # which knows by now what they take


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--step", type=int, default=10)
    parser.add_argument("--most", type=size, default="12G", help="that they may use together")
    parser.add_argument("--leave", type=size, default="6G", help="that has to stay available for others")
    parser.add_argument("--budget", default="4G", help="of the engine that is to stop there")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.step, given.most, given.leave, given.budget)))
