"""What a node costs beside this machine, and what a second and a third bring: `python -m tests.benchmarks.cluster`.

Ray with its nodes on this machine, so what is measured is the way to a node and back, and not more cores. Everything is
done in one run, by turns, and told as ratios: compare within the table.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Settings
from engine.config.cluster import ClusterSettings, WishSettings
from engine.engine import Engine
from engine.model import JobSpec, Wanted
from engine.runner.watch import Watch
from engine.serving import serving
from tests.conftest import run_git

SLOTS = 4  #: of each node
SLEEP = 1.0  #: seconds of each job of a wave


@dataclass(frozen=True, slots=True)
class Course:
    """How much is measured."""

    one_by_one: int = 15
    """Jobs, each after the other."""
    lines: int = 60
    waves: int = 4
    """Of as many jobs as there are slots."""


QUICK = Course(3, 10, 1)


@dataclass(slots=True)
class Row:
    """What was measured in one place: medians and 95th percentiles in ms."""

    name: str
    slots: int
    alone: tuple[float, float] | None = None
    lag: tuple[float, float] | None = None
    jobs: float = 0.0


def start_cluster(folder: Path) -> Any:
    """A head that takes nothing."""
    token = folder / "token"
    token.write_text("f" * 64)
    token.chmod(0o600)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token), RAY_USAGE_STATS_ENABLED="0")
    os.environ.update(RAY_raylet_start_wait_time_s="180")  # a busy machine does not keep to half a minute
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "node_name": "head"}
    return Cluster(initialize_head=True, head_node_args=head)


@asynccontextmanager
async def engine_with(folder: Path, name: str, cluster: Any, nodes: int) -> AsyncIterator[Engine]:
    """An engine on a home of its own; without nodes, without a cluster."""
    said = None
    if nodes:
        wish = WishSettings(resources={"slots": 1.0}, memory="1M")
        said = ClusterSettings(
            address=cluster.address,
            token_file=str(folder / "token"),
            home=str(folder / "nodes"),
            targets={"shell": wish},
        )
    settings = Settings(max_running=SLOTS * max(1, nodes), grace=1.0, cluster=said)
    async with serving(folder / name, settings) as engine:
        while nodes and sum(one.state == "ready" for one in (await engine.cluster.nodes()).nodes) < nodes:
            await asyncio.sleep(0.2)
        yield engine


async def run(engine: Engine, specs: Sequence[JobSpec]) -> float:
    """Seconds until all of them have ended."""
    began = time.perf_counter()
    jobs = (await engine.submit(Wanted(list(specs)))).ids
    while True:
        seq = engine.hub.seq
        rows = await engine.rows(jobs)
        if all(row.ended_at is not None for row in rows):
            assert all(row.state == "succeeded" for row in rows), [row.reason for row in rows]
            return time.perf_counter() - began
        await engine.hub.changed(seq, 1 << 62)


async def one_by_one(engine: Engine, project: Path, count: int) -> list[float]:
    """Seconds of a job that changes a file, from its submission to its end, workspace and all."""
    spec = JobSpec(prompt="echo x > x.txt", agent="shell", project=str(project))
    return [await run(engine, [spec]) for _ in range(count)]


async def lags(engine: Engine, lines: int) -> list[float]:
    """Seconds between a line's being printed and the engine's reading it."""
    found: list[float] = []
    plain = Watch.sink

    def sink(self: Watch, lines: list[bytes]) -> None:
        now = time.time()
        found.extend(now - int(line) / 1e9 for line in lines if line.isdigit())
        plain(self, lines)

    Watch.sink = sink  # type: ignore[method-assign]
    try:
        await run(engine, [JobSpec(prompt=f"for i in $(seq {lines}); do date +%s%N; sleep 0.1; done", agent="shell")])
    finally:
        Watch.sink = plain  # type: ignore[method-assign]
    return found


async def throughput(engine: Engine, slots: int, waves: int) -> float:
    """Jobs a second, of jobs that wait for a second, with every slot taken."""
    count = waves * slots
    return count / await run(engine, [JobSpec(prompt=f"sleep {SLEEP}", agent="shell")] * count)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values) * 1000, statistics.quantiles(values, n=20)[-1] * 1000


async def measure(folder: Path, course: Course) -> list[str]:
    project = folder / "project"
    project.mkdir()
    run_git(project, "init", "--quiet", "--initial-branch=main")
    (project / "a.txt").write_text("a\n")
    run_git(project, "add", ".")
    run_git(project, "commit", "--quiet", "--message", "first")
    cluster = start_cluster(folder)  # and nothing of Ray's in another thread than the main one: it handles signals
    rows: list[Row] = []
    try:
        for nodes in range(4):
            if nodes:
                offers = {"num_cpus": 0, "resources": {"slots": float(SLOTS)}, "object_store_memory": 80 << 20}
                cluster.add_node(node_name=f"node-{nodes}", **offers)
            async with engine_with(folder, f"home-{nodes}", cluster, nodes) as engine:
                slots = SLOTS * max(1, nodes)
                row = Row(f"{nodes or 'no'} node{'s' if nodes != 1 else ''}", slots)
                if nodes < 2:
                    row.alone = percentiles(await one_by_one(engine, project, course.one_by_one))
                    row.lag = percentiles(await lags(engine, course.lines))
                row.jobs = await throughput(engine, slots, course.waves)
                rows.append(row)
    finally:
        cluster.shutdown()
    return table(rows)


def table(rows: Sequence[Row]) -> list[str]:
    base = rows[0]
    heads = ["where", "a job alone, p50 / p95 ms", "ratio", "a line, p50 / p95 ms", "ratio"]
    heads += ["jobs of 1 s, a second", "ratio"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows:
        cells = [row.name]
        for mine, first in ((row.alone, base.alone), (row.lag, base.lag)):
            known = mine is not None and first is not None
            cells += [f"{mine[0]:,.0f} / {mine[1]:,.0f}", f"{mine[0] / first[0]:.1f}"] if known else ["", ""]  # type: ignore[index]
        lines.append(f"| {' | '.join([*cells, f'{row.jobs:.2f} of {row.slots}', f'{row.jobs / base.jobs:.1f}'])} |")
    return lines


def main() -> None:
    reading = argparse.ArgumentParser(description=__doc__)
    reading.add_argument("--quick", action="store_true", help="a few of each: whether it runs, and nothing to quote")
    course = QUICK if reading.parse_args().quick else Course()
    with tempfile.TemporaryDirectory(prefix="headway-cluster-") as folder:
        for line in asyncio.run(measure(Path(folder), course)):
            print(line)


if __name__ == "__main__":
    main()
