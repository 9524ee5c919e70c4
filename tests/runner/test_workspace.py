"""Workspaces on real git: whose branch, whose files, and that nobody's work is ever lost."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from engine.errors import RefusedError
from engine.model import DiffStat, Workspace
from engine.runner.git import GitError
from engine.runner.workspace import SLUG_LENGTH, Placed, Wanted, slug
from tests.runner.gitting import Bench, contents, git

# Where an attempt works


async def test_a_git_project_gets_a_worktree_on_a_branch_of_its_own(bench: Bench) -> None:
    placed = await bench.prepare("Fix the Ledger, now!", job=12)
    assert placed.branch == "headway/12-fix-the-ledger-now"
    assert placed.directory == placed.root == bench.home / "worktrees" / "12-fix-the-ledger-now"
    assert placed.repository == bench.project
    assert placed.base == git(bench.project, "rev-parse", "HEAD")
    assert git(placed.directory, "branch", "--show-current") == placed.branch
    assert contents(placed.directory) == contents(bench.project)
    assert git(bench.project, "status", "--porcelain") == ""


async def test_a_worktree_begins_where_its_job_says(bench: Bench) -> None:
    first = git(bench.project, "rev-parse", "HEAD")
    (bench.project / "a.txt").write_text("second\n")
    git(bench.project, "commit", "--quiet", "--all", "--message", "second")
    wanted = Wanted(job=1, title="t", project=str(bench.project), first=True, start=first[:10])
    placed = await bench.workspaces.prepare(wanted, bench.run(1))
    assert (placed.base, (placed.directory / "a.txt").read_text() == "second\n") == (first, False)
    with pytest.raises(RefusedError, match="no commit nowhere, which the job is to begin at"):
        await bench.workspaces.prepare(dataclasses.replace(wanted, job=2, start="nowhere"), bench.run(2))


async def test_a_project_below_the_top_works_at_the_same_place(bench: Bench) -> None:
    placed = await bench.prepare(project=bench.project / "sub")
    assert placed.root is not None
    assert placed.directory == placed.root / "sub"
    assert (placed.directory / "b.txt").read_text() == "b\n"
    (bench.project / "new" / "deep").mkdir(parents=True)
    other = await bench.prepare(job=2, project=bench.project / "new" / "deep")
    assert other.directory.is_dir()
    assert other.directory.parts[-2:] == ("new", "deep")


async def test_a_project_named_by_a_link_is_the_project(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bench.project / "sub")
    placed = await bench.prepare(project=tmp_path / "link")
    assert placed.repository == bench.project
    assert placed.directory.name == "sub"


async def test_a_retry_goes_on_in_the_same_worktree_against_the_same_base(bench: Bench) -> None:
    first = await bench.prepare()
    (first.directory / "half.txt").write_text("half done\n")
    git(first.directory, "add", ".")
    git(first.directory, "commit", "--quiet", "--message", "half")
    (first.directory / "a.txt").write_text("changed\n")
    again = await bench.prepare(number=2, base=first.base)
    assert again == first
    assert (again.directory / "a.txt").read_text() == "changed\n"
    assert await bench.measure(again) == DiffStat(files=2, added=2, removed=3)


async def test_a_worktree_that_somebody_deleted_is_made_again_with_its_commits(bench: Bench) -> None:
    first = await bench.prepare()
    git(first.directory, "commit", "--quiet", "--allow-empty", "--message", "work")
    tip = git(first.directory, "rev-parse", "HEAD")
    shutil.rmtree(first.directory)
    again = await bench.prepare(number=2, base=first.base, branch=first.branch)
    assert git(again.directory, "rev-parse", "HEAD") == tip
    assert again == first


@pytest.mark.parametrize("what", ["file", "directory", "half a worktree"])
async def test_something_in_the_way_is_moved_aside_and_not_deleted(bench: Bench, what: str) -> None:
    place = bench.home / "worktrees" / "1-fix-it"
    place.parent.mkdir()
    if what == "file":
        place.write_text("precious")
    else:
        place.mkdir()
        (place / "note").write_text("precious")
        if what == "half a worktree":
            (place / ".git").write_text(f"gitdir: {bench.project}/.git/worktrees/never\n")
    placed = await bench.prepare()
    assert contents(placed.directory) == contents(bench.project)
    aside = place.with_name("1-fix-it.aside-1")
    assert (aside if what == "file" else aside / "note").read_text() == "precious"
    shutil.rmtree(placed.directory)
    placed.directory.mkdir()
    await bench.prepare(branch=placed.branch)
    assert place.with_name("1-fix-it.aside-2").is_dir()


async def test_a_plain_directory_is_used_as_it_is(bench: Bench, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "x").touch()
    placed = await bench.prepare(project=plain)
    assert placed == Placed(plain)
    assert await bench.measure(placed) is None
    assert not await bench.workspaces.tidy(placed)
    assert [entry.name for entry in plain.iterdir()] == ["x"]


async def test_a_job_without_a_project_gets_a_directory_that_its_retries_find_again(bench: Bench) -> None:
    first = await bench.workspaces.prepare(Wanted(7, "t", None), bench.run(7))
    (first.directory / "x").touch()
    assert first == Placed(bench.home / "work" / "7")
    assert await bench.workspaces.prepare(Wanted(7, "t", None), bench.run(7, 2)) == first
    assert (first.directory / "x").exists()


async def test_a_project_in_place_is_measured_from_how_it_stood(bench: Bench) -> None:
    (bench.project / "a.txt").write_text("the user's own change\n")
    (bench.project / "mine.txt").write_text("untracked\n")
    placed = await bench.prepare(wanted=Workspace.PROJECT)
    assert (placed.directory, placed.branch, placed.repository) == (bench.project, None, None)
    (bench.project / "a.txt").write_text("the user's own change\nand the agent's\n")
    assert await bench.measure(placed) == DiffStat(files=1, added=1, removed=0)
    assert not await bench.workspaces.tidy(placed)


# What cannot be


async def test_a_repository_without_a_commit_is_refused_with_advice(bench: Bench, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    with pytest.raises(RefusedError, match="has no commit yet: commit once, or submit with --in-place"):
        await bench.prepare(project=tmp_path / "empty")
    placed = await bench.prepare(project=tmp_path / "empty", wanted=Workspace.PROJECT)
    (tmp_path / "empty" / "new").write_text("x\n")
    assert await bench.measure(placed) == DiffStat(files=1, added=1, removed=0)


async def test_a_project_that_is_gone_is_refused(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="is not a directory any more"):
        await bench.prepare(project=bench.project / "nowhere")


async def test_a_repository_that_git_will_not_read_is_not_taken_for_a_plain_directory(bench: Bench) -> None:
    """An agent must not get the user's own checkout only because git said no for some other reason."""
    (bench.project / ".git" / "config").write_text("[broken\n")
    for project in (bench.project, bench.project / "sub"):
        with pytest.raises(GitError, match="bad config"):
            await bench.prepare(project=project)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
async def test_a_repository_of_another_user_is_refused_and_not_worked_in(bench: Bench) -> None:
    os.chown(bench.project, 65534, 65534)
    os.chown(bench.project / ".git", 65534, 65534)
    with pytest.raises(GitError, match=r"safe\.directory|dubious"):
        await bench.prepare()


async def test_without_git_a_repository_is_refused_and_a_plain_directory_used(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="git is not installed"):
        await bench.prepare()
    (tmp_path / "plain").mkdir()
    assert await bench.prepare(project=tmp_path / "plain") == Placed(tmp_path / "plain")


async def test_many_jobs_of_one_repository_are_prepared_at_once(bench: Bench) -> None:
    placed = await asyncio.gather(*(bench.prepare(job=job) for job in range(1, 13)))
    assert len({one.root for one in placed}) == 12
    assert bench.worktrees() == 13


@pytest.mark.parametrize("is_gone", [False, True], ids=["beside it", "after it"])
async def test_another_home_does_not_go_on_from_this_ones_branch(bench: Bench, tmp_path: Path, is_gone: bool) -> None:
    mine = await bench.prepare()
    git(mine.directory, "commit", "--quiet", "--allow-empty", "--message", "of the first home")
    (tmp_path / "second").mkdir()
    if is_gone:
        shutil.rmtree(bench.home)
    other = await Bench(bench.project, tmp_path / "second").prepare()
    assert git(other.directory, "log", "--format=%s") == "first"


async def test_a_new_job_does_not_go_on_where_another_databases_job_of_that_number_worked(bench: Bench) -> None:
    """After a restore the numbers come again, and with them the names."""
    before = await bench.prepare(first=True)
    (before.directory / "new.txt").write_text("of the job before\n")
    job = await bench.prepare(first=True)
    assert job.root != before.root
    assert not (job.directory / "new.txt").exists()
    again = await bench.prepare(number=2, base=job.base, branch=job.branch)
    assert again == job, "its own retry does"


async def test_a_scratch_directory_of_another_database_is_moved_aside(bench: Bench) -> None:
    wanted = Wanted(1, "scratch", None, first=True)
    before = await bench.workspaces.prepare(wanted, bench.run())
    (before.directory / "new.txt").write_text("of the job before\n")
    assert list((await bench.workspaces.prepare(wanted, bench.run())).directory.iterdir()) == []
    assert (bench.home / "work" / "1.aside-1" / "new.txt").read_text() == "of the job before\n"


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_job_with_another_title_goes_on_in_its_worktree(bench: Bench, deleted: bool) -> None:
    first = await bench.prepare("Fix it", first=True)
    (first.directory / "a.txt").write_text("changed\n")
    git(first.directory, "commit", "--quiet", "--all", "--message", "half")
    if deleted:
        shutil.rmtree(first.directory)
    again = await bench.prepare("Mend it", number=2, base=first.base, branch=first.branch)
    assert again == first
    assert (again.directory / "a.txt").read_text() == "changed\n"


async def test_a_directory_may_end_in_a_blank(bench: Bench) -> None:
    named = bench.project.rename(bench.project.with_name("project "))
    assert (await bench.prepare(project=named)).repository == named


# What runs and what does not


HOOKS = ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "post-commit")


async def test_no_hook_of_the_project_runs(bench: Bench, tmp_path: Path) -> None:
    for name in HOOKS:
        hook = bench.project / ".git" / "hooks" / name
        hook.write_text(f'#!/bin/sh\necho {name} >>"{tmp_path}/ran"\n')
        hook.chmod(0o755)
    placed = await bench.prepare()
    (placed.directory / "new").write_text("x\n")
    await bench.measure(placed)
    (placed.directory / "new").unlink()
    assert await bench.workspaces.tidy(placed)
    assert not (tmp_path / "ran").exists()


async def test_what_the_agent_wrote_into_the_settings_of_git_is_not_run(bench: Bench, tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\necho "$0" >>"{tmp_path}/ran"\n')
    spy.chmod(0o755)
    placed = await bench.prepare()
    for key in ("core.fsmonitor", "core.pager", "core.editor", "diff.external", "core.askPass", "core.sshCommand"):
        git(bench.project, "config", key, str(spy))
    git(bench.project, "config", "core.hooksPath", str(tmp_path))
    (placed.directory / "a.txt").write_text("changed\n")
    assert await bench.measure(placed) == DiffStat(files=1, added=1, removed=3)
    assert not await bench.workspaces.tidy(placed)
    assert not (tmp_path / "ran").exists()


async def test_the_variables_of_the_engines_own_git_do_not_lead_astray(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    placed = await bench.prepare()
    assert placed.repository == bench.project


@given(st.text(max_size=200))
@example("..")
@example("-" * 50)
@example("a" * 31 + " b")
@example("ÄÖÜ")
@example(".lock")
def test_a_slug_is_a_safe_part_of_a_branch_and_of_a_path(title: str) -> None:
    made = slug(title)
    assert 1 <= len(made) <= SLUG_LENGTH
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not made.startswith("-")
    assert not made.endswith("-")


def test_a_slug_keeps_what_can_be_read() -> None:
    assert slug("Fix the Ledger: 2 of 3!") == "fix-the-ledger-2-of-3"
    assert slug("日本語") == "job"


async def test_a_worktree_of_the_users_that_is_away_is_not_forgotten(bench: Bench, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    git(bench.project, "worktree", "add", "--quiet", str(mine))
    mine.rename(tmp_path / "away")
    await bench.prepare()
    (tmp_path / "away").rename(mine)
    assert git(mine, "status", "--porcelain") == ""


async def test_a_worktree_that_a_crash_left_halfway_is_made_again(bench: Bench) -> None:
    placed = await bench.prepare()
    gitdir = Path(git(placed.directory, "rev-parse", "--absolute-git-dir"))
    (gitdir / "index").unlink()
    (placed.directory / "a.txt").unlink()
    again = await bench.prepare(branch=placed.branch)
    assert contents(again.directory) == contents(bench.project)


async def test_a_bare_repository_is_no_place_to_work_in(bench: Bench, tmp_path: Path) -> None:
    git(bench.project, "clone", "--quiet", "--bare", str(bench.project), str(tmp_path / "bare.git"))
    with pytest.raises(RefusedError, match="bare"):
        await bench.prepare(project=tmp_path / "bare.git")
