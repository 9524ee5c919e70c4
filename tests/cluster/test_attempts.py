"""Attempts on nodes: the same files, the same work, the same end as here."""

from __future__ import annotations

from pathlib import Path

from engine.model import JobSpec, State, Workspace
from engine.runner.run_dir import run_dir
from engine.serving import serving
from tests.cluster.conftest import settings
from tests.cluster.grid import Grid
from tests.runner.gitting import Bench, git
from tests.runner.living import ended, rehearsal, submit


async def test_what_it_did_comes_home(bench: Bench, grid: Grid) -> None:
    commit = "git -c user.name=n -c user.email=e commit -qam done"
    command = f"pwd; echo two >> a.txt; echo new > new.txt; git rm -q sub/b.txt; git add .; {commit}; echo l > left.txt"
    async with serving(bench.home, settings(), connect=lambda home, said: grid) as engine:
        spec = JobSpec(prompt=command, agent="shell", project=str(bench.project))
        (job,) = await submit(engine, spec)
        row, (tried,) = await ended(engine, job)
    assert row.state is State.SUCCEEDED, row.reason
    assert tried.node in ("a", "b")
    run = run_dir(bench.home, job, 1)
    assert run.stdout.read_text().strip().startswith(str(grid.home)), "it worked there"
    root = Path(tried.workspace or "")
    assert root.is_relative_to(bench.home), "and its work is here"
    assert git(root, "log", "--format=%s").split() == ["done", "first"]
    assert not (root / "sub/b.txt").exists()
    assert (root / "left.txt").read_text() == "l\n"
    assert git(root, "status", "--porcelain").split("\n")[0].split() == ["??", "left.txt"]
    assert (tried.diff_files, tried.exit_code) == (4, 0)


async def test_what_is_not_committed_goes_there_and_a_retry_goes_on_from_it(bench: Bench, grid: Grid) -> None:
    async with serving(bench.home, settings(), connect=lambda home, said: grid) as engine:
        command = "test -e mine.txt && exit 0; echo mine > mine.txt; exit 3"
        spec = JobSpec(prompt=command, agent="shell", project=str(bench.project), repeatable=True, max_attempts=2)
        (job,) = await submit(engine, spec)
        row, tries = await ended(engine, job)
    assert (row.state, len(tries)) == (State.SUCCEEDED, 2), row.reason


async def test_a_job_without_a_project_has_its_directory_carried(bench: Bench, grid: Grid) -> None:
    async with serving(bench.home, settings(), connect=lambda home, said: grid) as engine:
        (job,) = await submit(engine, JobSpec(prompt="mkdir -p d; echo x > d/x; ln -s x d/y; pwd", agent="shell"))
        _, (tried,) = await ended(engine, job)
    assert tried.node is not None
    directory = Path(tried.workspace or "")
    assert directory == bench.home / "work" / str(job)
    assert (directory / "d/x").read_text() == (directory / "d/y").read_text() == "x\n"


async def test_what_cannot_travel_stays(bench: Bench, grid: Grid) -> None:
    async with serving(bench.home, settings(), connect=lambda home, said: grid) as engine:
        spec = JobSpec(prompt="pwd", agent="shell", project=str(bench.project), workspace=Workspace.PROJECT)
        (job,) = await submit(engine, spec)
        row, (tried,) = await ended(engine, job)
    assert (row.state, tried.node) == (State.SUCCEEDED, None)
    assert not any(verb == "begin" for _, verb in grid.words)


async def test_a_rehearsal_is_read_as_it_goes_and_resumed_where_its_session_is(bench: Bench, grid: Grid) -> None:
    scenario = rehearsal(
        bench.home.parent,
        [{"do": "say", "text": "hello"}, {"do": "fail", "kind": "connection"}],
        [{"do": "say", "text": "again"}],
    )
    async with serving(bench.home, settings(), connect=lambda home, said: grid) as engine:
        (job,) = await submit(engine, JobSpec(prompt="p", agent="rehearsal", model=scenario))
        row, tries = await ended(engine, job)
    assert row.state is State.SUCCEEDED, row.reason
    assert [one.resumes for one in tries][1:] == [tries[0].session]
    assert len({one.node for one in tries}) == 1, "its session is on that machine"
