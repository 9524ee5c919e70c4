"""Nodes that are lost, cut off, started anew; engines that are replaced. Each job ends once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine import __version__
from engine.cluster import wire
from engine.cluster.fencing import FencedError
from engine.cluster.wire import Hello, Meeting
from engine.config import Settings
from engine.engine import Engine
from engine.model import JobSpec, Order, State, Verb
from engine.runner.run_dir import run_dir
from engine.serving import serving
from tests.cluster.conftest import settings
from tests.cluster.grid import Grid
from tests.runner.gitting import Bench, git
from tests.runner.living import ended, launched, submit

#: Prints a line, waits for the file `go` beside the nodes, writes what it did, and says how often it began.
WAITS = (
    "echo begun; echo $$ >> {place}/began; while [ ! -e {place}/go ]; do sleep 0.05; done; echo done > d.txt; echo end"
)


@asynccontextmanager
async def engine_on(bench: Bench, grid: Grid, said: Settings | None = None) -> AsyncIterator[Engine]:
    async with serving(bench.home, said or settings(), connect=lambda home, cluster: grid) as engine:
        yield engine


def waiting(bench: Bench, grid: Grid) -> JobSpec:
    grid.home.mkdir(exist_ok=True)
    prompt = WAITS.format(place=grid.home)
    return JobSpec(prompt=prompt, agent="shell", project=str(bench.project), repeatable=True)


def began(grid: Grid) -> int:
    return len((grid.home / "began").read_text().split())


async def until(holds: Callable[[], bool]) -> None:
    """For what no event of the engine tells."""
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_lost_node_s_job_begins_anew_elsewhere_and_ends_once(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        first = await launched(engine, job)
        assert first.node is not None
        await until((grid.home / "began").exists)
        grid.leave(first.node)
        second = await launched(engine, job, 2)
        assert second.node not in (None, first.node)
        grid.join(first.node)  # with its agent still at work: what it does there counts for nothing
        await until(lambda: not list((grid.home / str(first.node) / "runs").glob("*/*/held.json")))
        (grid.home / "go").touch()
        row, tries = await ended(engine, job)
    assert row.state is State.SUCCEEDED, row.reason
    assert [one.succeeded for one in tries] == [False, True]
    assert "out of reach" in (tries[0].reason or "")
    assert began(grid) == 2
    assert git(bench.home / "worktrees" / str(tries[1].branch).removeprefix("headway/"), "status", "--short").strip()


async def test_a_node_that_comes_back_in_time_goes_on(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        first = await launched(engine, job)
        await until((grid.home / "began").exists)
        grid.cut.add(str(first.node))
        await asyncio.sleep(0)
        (grid.home / "go").touch()
        grid.join(str(first.node))  # another site on the same files: the actor was started anew
        row, tries = await ended(engine, job)
    assert (row.state, len(tries), began(grid)) == (State.SUCCEEDED, 1, 1), row.reason
    assert run_dir(bench.home, job, 1).stdout.read_text() == "begun\nend\n"


async def test_the_next_engine_adopts_what_runs_on_nodes(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        await launched(engine, job)
        await until((grid.home / "began").exists)
    (grid.home / "go").touch()
    async with engine_on(bench, grid) as engine:
        row, tries = await ended(engine, job)
        moved = await engine.store.read.events(0, 100, job)
    assert (row.state, len(tries), began(grid)) == (State.SUCCEEDED, 1, 1), row.reason
    assert [type(one.body).__name__ for one in moved].count("Placed") == 1
    assert run_dir(bench.home, job, 1).stdout.read_text() == "begun\nend\n"


async def test_while_the_cluster_is_out_of_reach_nothing_is_given_up(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        first = await launched(engine, job)
        await until((grid.home / "began").exists)
        grid.connected, grid.trouble = False, "no head"
        nodes, grid.nodes = grid.nodes, {}
        grid.tell()
        await asyncio.sleep(1.5)  # longer than `lost_after`
        assert (await engine.row(job)).state is State.RUNNING
        grid.connected, grid.nodes = True, nodes
        grid.tell()
        (grid.home / "go").touch()
        row, tries = await ended(engine, job)
    assert (row.state, len(tries), tries[0].node) == (State.SUCCEEDED, 1, first.node), row.reason


async def test_a_drained_node_begins_nothing_and_undo_opens_it(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        await until(lambda: engine_ready(grid))
        for name in ("a", "b"):
            await engine.act(Order(verb=Verb.HOLD, scope=f"node:{name}"), "tester")
        (job,) = await submit(engine, JobSpec(prompt="true", agent="shell"))
        (reason,) = (await engine.job(job)).waiting
        assert reason.text == "no node takes attempts (a is drained, b is drained)"
        await engine.undo(None, "tester", dry_run=False)
        _, (tried,) = await ended(engine, job)
    assert tried.node == "b"


async def test_work_is_moved_from_a_node_that_is_drained(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        first = await launched(engine, job)
        await until((grid.home / "began").exists)
        await engine.act(Order(verb=Verb.HOLD, scope=f"node:{first.node}"), "tester")
        engine.cluster.move(str(first.node))
        second = await launched(engine, job, 2)
        (grid.home / "go").touch()
        row, tries = await ended(engine, job)
        await until(lambda: (str(first.node), "drop") in grid.words)
    assert (row.state, len(tries)) == (State.SUCCEEDED, 2), row.reason
    assert second.node != first.node
    assert tries[0].reason == f"the node {first.node} was drained, and its work moved"


def engine_ready(grid: Grid) -> bool:
    return {name for name, verb in grid.words if verb == "meet"} == set(grid.nodes)


async def test_a_cancelled_job_is_ended_on_its_node(bench: Bench, grid: Grid) -> None:
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        await launched(engine, job)
        await until((grid.home / "began").exists)
        await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "tester")
        row, _ = await ended(engine, job)
    assert row.state is State.CANCELLED


async def test_a_node_listens_to_no_engine_that_was_replaced(bench: Bench, grid: Grid) -> None:
    site = grid.sites["a"]

    async def meet(epoch: int, version: str = __version__) -> Hello:
        answer = await site.answer("meet", wire.sent(Meeting(epoch, version, Settings(), frozenset())))
        return wire.read(answer, Hello)

    assert (await meet(5)).held == []
    with pytest.raises(FencedError, match="epoch 4 has been replaced by that of 5"):
        await meet(4)
    with pytest.raises(Exception, match="the engine 0\\.0\\.0"):
        await meet(6, "0.0.0")
    grid.join("a")
    site = grid.sites["a"]
    with pytest.raises(FencedError):  # it is written down: a node that was started anew has not forgotten
        await meet(4)


async def test_an_engine_put_back_from_a_copy_is_heard(bench: Bench, grid: Grid, tmp_path: Path) -> None:
    async with engine_on(bench, grid):
        await until(lambda: engine_ready(grid))
    shutil.copytree(bench.home, tmp_path / "copy")
    for _ in range(2):
        grid.words.clear()
        async with engine_on(bench, grid):
            await until(lambda: engine_ready(grid))
    shutil.rmtree(bench.home)
    shutil.copytree(tmp_path / "copy", bench.home)
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, JobSpec(prompt="true", agent="shell"))
        row, _ = await ended(engine, job)
    assert row.state is State.SUCCEEDED, row.reason
