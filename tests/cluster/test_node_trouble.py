"""What goes wrong at one end while the other is at work: each attempt begins once, and its work is found."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.cluster import depot, fleet, holding, parcel, stream
from engine.cluster.holding import Held
from engine.cluster.site import Site
from engine.config import AgentSettings
from engine.config.sandbox import SandboxSettings
from engine.decision import Choice
from engine.engine import Engine
from engine.model import JobSpec, Permission, State
from engine.runner import procfs
from engine.runner.cgroup import Cgroups
from engine.runner.run_dir import run_dir
from engine.store.rows import AttemptRow, JobRow
from tests.cluster.conftest import settings
from tests.cluster.grid import Grid
from tests.cluster.test_failures import began, engine_on, until, waiting
from tests.runner.gitting import Bench, git
from tests.runner.living import ended, launched, rehearsal, settled, submit
from tests.runner.test_asking import answer, card_of


async def test_a_full_disk_at_the_engine_is_waited_for(
    bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, write = [2], stream._append

    def full(path: Path, data: bytes) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, data)

    monkeypatch.setattr(stream, "_append", full)
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, JobSpec(prompt="echo one; echo two", agent="shell"))
        row, _ = await ended(engine, job)
    assert (row.state, left) == (State.SUCCEEDED, [0]), row.reason
    assert run_dir(bench.home, job, 1).stdout.read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    "leaves",
    [
        "touch $(git rev-parse --git-dir)/index.lock",
        "git stash list; git checkout -qb other; {as_} commit -qm x --allow-empty; git checkout -q -; "
        "{as_} commit -qm y --allow-empty; {as_} merge --no-commit --no-ff other",
    ],
    ids=["a lock", "half of a merge"],
)
async def test_what_git_was_in_the_middle_of_on_a_node_keeps_no_retry_from_it(
    bench: Bench, grid: Grid, leaves: str
) -> None:
    del grid.nodes["b"]
    leaves = leaves.replace("{as_}", "git -c user.name=n -c user.email=e")
    command = f"test -e mine.txt && exit 0; echo mine > mine.txt; {leaves}; exit 3"
    async with engine_on(bench, grid) as engine:
        spec = JobSpec(prompt=command, agent="shell", project=str(bench.project), repeatable=True, max_attempts=2)
        (job,) = await submit(engine, spec)
        row, tries = await ended(engine, job)
    assert (row.state, len(tries)) == (State.SUCCEEDED, 2), [one.reason for one in tries]


async def test_a_node_is_left_by_the_attempt_before_when_the_next_of_the_job_begins(bench: Bench, grid: Grid) -> None:
    del grid.nodes["b"]
    stubborn = "trap 'true' TERM; echo $$ >> {place}/began; while [ ! -e {place}/go ]; do sleep 0.05; done; echo end"
    grid.home.mkdir(exist_ok=True)
    spec = JobSpec(prompt=stubborn.format(place=grid.home), agent="shell", project=str(bench.project), repeatable=True)
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, spec)
        await launched(engine, job)
        await until((grid.home / "began").exists)
        engine.cluster.move("a")  # and it is not drained: the next attempt comes at once
        await launched(engine, job, 2)
        await until(lambda: began(grid) == 2)
        first = procfs.process(int((grid.home / "began").read_text().split()[0]))
        assert first is None or first.is_gone, "both are at work in one directory"
        (grid.home / "go").touch()
        row, tries = await ended(engine, job)
    assert (row.state, len(tries)) == (State.SUCCEEDED, 2), row.reason


def die(grid: Grid, site: Site) -> None:
    """Start a node's actor anew; what the one before it was about to answer comes to nobody."""
    name = next(name for name, found in grid.sites.items() if found is site)
    grid.join(name)
    grid.cut.add(name)
    asyncio.get_running_loop().call_later(0.1, grid.cut.discard, name)


async def one_job(engine: Engine, bench: Bench, grid: Grid) -> tuple[JobRow, list[AttemptRow]]:
    """A job that waits on a node until it is let go, and its attempts, once it has ended."""
    (job,) = await submit(engine, waiting(bench, grid))
    await launched(engine, job)
    await until((grid.home / "began").exists)
    (grid.home / "go").touch()
    return await ended(engine, job)


async def test_an_actor_that_dies_between_starting_and_saying_so_has_begun_it_once(
    bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, loop, over = parcel.archive, asyncio.get_running_loop(), threading.Event()
    dead: list[object] = []

    def dies(directory: Path, names: Sequence[str] | None) -> tuple[bytes, int]:
        if not dead and names is not None:  # it runs, and the engine is to be told so
            dead.append(directory)
            (site,) = (one for one in grid.sites.values() if directory.is_relative_to(one._home))
            loop.call_soon_threadsafe(die, grid, site)
            over.wait(60)
        return pack(directory, names)

    monkeypatch.setattr(parcel, "archive", dies)
    async with engine_on(bench, grid, settings("60s")) as engine:
        row, tries = await one_job(engine, bench, grid)
        over.set()
    assert (row.state, len(tries), began(grid), len(dead)) == (State.SUCCEEDED, 1, 1, 1), row.reason


async def test_an_attempt_that_is_asked_for_while_a_new_actor_looks_round_begins_once(
    bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was lost with the actor: the engine asks again, and the new one has not read yet what is there."""
    take, find = Site.answer, holding.find
    lost: list[int] = []

    def asked() -> int:
        return sum(verb in ("has", "begin") for _, verb in grid.words)

    async def loses(site: Site, verb: str, data: bytes) -> bytes:
        answer = await take(site, verb, data)
        if verb == "begin" and not lost:
            lost.append(asked())
            die(grid, site)
        return answer

    def slow(home: Path, cgroups: Cgroups) -> list[Held]:
        while lost and asked() < lost[0] + 4:
            time.sleep(0.01)
        return find(home, cgroups)

    monkeypatch.setattr(Site, "answer", loses)
    monkeypatch.setattr(holding, "find", slow)
    async with engine_on(bench, grid, settings("60s")) as engine:
        row, tries = await one_job(engine, bench, grid)
    assert (row.state, len(tries), began(grid), len(lost)) == (State.SUCCEEDED, 1, 1, 1), row.reason


async def test_a_shallow_project_travels(bench: Bench, grid: Grid, tmp_path: Path) -> None:
    git(bench.project, "commit", "-q", "--allow-empty", "-m", "second")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{bench.project}", str(shallow))
    commit = "git -c user.name=n -c user.email=e commit -qam done"
    async with engine_on(bench, grid) as engine:
        spec = JobSpec(prompt=f"echo two >> a.txt; {commit}", agent="shell", project=str(shallow))
        (job,) = await submit(engine, spec)
        row, (tried, *_) = await ended(engine, job)
    assert row.state is State.SUCCEEDED, row.reason
    assert git(Path(tried.workspace or ""), "log", "--format=%s").split() == ["done", "second"]


async def test_a_node_that_hangs_is_out_of_reach(bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "ANSWER_SECONDS", 0.5, raising=False)
    monkeypatch.setattr(fleet, "WAIT_SECONDS", 0.5)
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, waiting(bench, grid))
        first = await launched(engine, job)
        await until((grid.home / "began").exists)
        grid.hung.add(str(first.node))
        second = await launched(engine, job, 2)
        assert second.node not in (None, first.node)
        (grid.home / "go").touch()
        row, tries = await ended(engine, job)
        grid.hung.clear()
    assert (row.state, len(tries)) == (State.SUCCEEDED, 2), row.reason
    assert "out of reach" in (tries[0].reason or "")


async def test_what_a_node_calls_its_commits_moves_no_branch_of_the_project(bench: Bench, grid: Grid) -> None:
    """An agent can write what its node keeps of it, and the node believes that when it is started anew."""
    git(bench.project, "branch", "release")
    before = git(bench.project, "rev-parse", "release")
    grid.home.mkdir(exist_ok=True)
    commit = "git -c user.name=n -c user.email=e commit -qam done"
    wait = f"echo $$ > {grid.home}/began; while [ ! -e {grid.home}/go ]; do sleep 0.05; done"
    spec = JobSpec(prompt=f"echo two >> a.txt; {commit}; {wait}", agent="shell", project=str(bench.project))
    async with engine_on(bench, grid) as engine:
        (job,) = await submit(engine, spec)
        first = await launched(engine, job)
        await until((grid.home / "began").exists)
        held = run_dir(grid.home / str(first.node), job, 1).path / holding.NAME
        held.write_text(held.read_text().replace(f"refs/headway/travel/{first.marker}", "refs/heads/release"))
        grid.join(str(first.node))
        (grid.home / "go").touch()
        await settled(engine, job)
    assert git(bench.project, "rev-parse", "release") == before


async def test_a_project_s_past_jobs_do_not_pile_up_on_a_node(
    bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depot, "KEPT_BASES", 2)
    del grid.nodes["b"]
    async with engine_on(bench, grid) as engine:
        for number in range(4):
            git(bench.project, "commit", "-q", "--allow-empty", "-m", f"n{number}")
            (job,) = await submit(engine, JobSpec(prompt="true", agent="shell", project=str(bench.project)))
            await ended(engine, job)
    (repository,) = (grid.home / "a" / "repositories").iterdir()
    kept = git(repository, "for-each-ref", "--format=%(refname)", "refs/headway/bases").split()
    assert kept == ["refs/headway/bases/3", "refs/headway/bases/4"]


async def test_a_node_that_goes_before_the_work_is_home_is_lost(
    bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, left = Site.answer, []

    async def leaves(site: Site, verb: str, data: bytes) -> bytes:
        if verb == "finish" and not left:
            left.append(next(name for name, found in grid.sites.items() if found is site))
            grid.cut.add(left[0])
            grid.leave(left[0])
        return await take(site, verb, data)

    monkeypatch.setattr(Site, "answer", leaves)
    async with engine_on(bench, grid) as engine:
        spec = JobSpec(prompt="echo x > x.txt", agent="shell", project=str(bench.project), repeatable=True)
        (job,) = await submit(engine, spec)
        row, tries = await ended(engine, job)
    assert (row.state, len(tries)) == (State.SUCCEEDED, 2), [one.reason for one in tries]
    assert "out of reach" in (tries[0].reason or "")
    assert tries[1].node != left[0]


async def test_an_answer_that_a_node_was_out_of_reach_for_comes_to_the_agent(bench: Bench, grid: Grid) -> None:
    run = {"do": "run", "command": "echo pushed > pushed.txt", "ask": True}
    steps: list[dict[str, object]] = [{"do": "say", "text": "I will"}, run, {"do": "say", "text": "done"}]
    asking = settings("60s", agents={"rehearsal": AgentSettings(permission=Permission.ASK)})
    async with engine_on(bench, grid, asking) as engine:
        (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=rehearsal(bench.home.parent, steps)))
        card = await card_of(engine, job)
        node = str((await launched(engine, job)).node)
        grid.cut.add(node)
        told = grid.words.count((node, "tell"))
        await answer(engine, card, Choice.ALLOW)
        await until(lambda: grid.words.count((node, "tell")) > told)
        grid.cut.discard(node)
        row, (tried,) = await ended(engine, job)
    assert (row.state, tried.succeeded) == (State.SUCCEEDED, True), row.reason


async def test_what_an_agent_in_a_sandbox_committed_comes_home(bench: Bench, grid: Grid) -> None:
    commit = "git -c user.name=n -c user.email=e commit -qam done"
    boxed = settings(sandbox=SandboxSettings())
    async with engine_on(bench, grid, boxed) as engine:
        spec = JobSpec(prompt=f"echo two >> a.txt; {commit}", agent="shell", project=str(bench.project))
        (job,) = await submit(engine, spec)
        row, (tried,) = await ended(engine, job)
    assert (row.state, tried.node is not None) == (State.SUCCEEDED, True), row.reason
    assert git(Path(tried.workspace or ""), "log", "--format=%s").split() == ["done", "first"]


async def test_a_job_that_asks_while_its_project_is_being_made_on_a_node_begins(
    bench: Bench, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    del grid.nodes["b"]
    call, making = depot.git, asyncio.Event()

    async def slow(directory: Path, *arguments: str) -> str:
        if "init" in arguments and not making.is_set():
            Path(arguments[-1]).mkdir()
            asked = grid.words.count(("a", "has"))
            making.set()
            await until(lambda: grid.words.count(("a", "has")) > asked)
        return await call(directory, *arguments)

    monkeypatch.setattr(depot, "git", slow)
    async with engine_on(bench, grid) as engine:
        spec = JobSpec(prompt="true", agent="shell", project=str(bench.project))
        (first,) = await submit(engine, spec)
        await making.wait()
        (second,) = await submit(engine, spec)
        ends = [(await ended(engine, job))[0] for job in (first, second)]
    assert [row.state for row in ends] == [State.SUCCEEDED] * 2, [row.reason for row in ends]
