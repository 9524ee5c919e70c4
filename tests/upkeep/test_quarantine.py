"""Workspaces of ended jobs: put away with a way back, and removed only when nobody can miss them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.store.store import FILE
from engine.upkeep import quarantine
from engine.upkeep.quarantine import ABOUT, Away, Leaving, boxes, expire, reconnect_all, retire, root_of
from engine.upkeep.runs import Turn
from engine.upkeep.worktrees import forgotten, of_pruned, old_worktrees, retire_each
from tests.upkeep.samples import DAY, NOW, Bench, git

KEEP = 30 * DAY


@pytest.fixture
def away(bench: Bench) -> Away:
    return Away(bench.home, NOW, KEEP, defaultdict(asyncio.Lock))


def contents(home: Path) -> list[str]:
    """What is in quarantine, the notes left out."""
    return sorted(
        str(path.relative_to(home / "quarantine")) for path in (home / "quarantine").glob("*/*") if path.name != ABOUT
    )


def leaving(bench: Bench, before: int = NOW - 30 * DAY) -> list[Leaving]:
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        return old_worktrees(connection, bench.home, before)


async def test_a_worktree_with_work_in_it_is_moved_and_git_knows_where(
    bench: Bench, repository: Path, away: Away
) -> None:
    job, root = await bench.worked(repository, title="Fix the\nparser")
    (root / "new.txt").write_text("work\n")
    (one,) = leaving(bench)
    assert one == Leaving(root, job, "succeeded", "Fix the\nparser", f"headway/{job}-x")
    assert not await retire(away, one)
    box = bench.home / "quarantine" / f"2025-10-09-{job}-x"
    moved = box / root.name
    assert not root.exists()
    assert (moved / "new.txt").read_text() == "work\n"
    assert git(moved, "status", "--porcelain") == "?? new.txt"
    assert str(moved) in git(repository, "worktree", "list", "--porcelain")
    assert str(root) not in git(repository, "worktree", "list", "--porcelain")
    about = (box / ABOUT).read_text()
    assert f"job {job} (Fix the parser), which is succeeded" in about
    assert f"the branch headway/{job}-x" in about
    assert "removes it after 2025-11-08" in about


async def test_the_note_says_how_to_bring_it_back_and_that_works(bench: Bench, repository: Path, away: Away) -> None:
    job, root = await bench.worked(repository)
    (root / "new.txt").write_text("work\n")
    await retire_each(away, leaving(bench), Turn(60))
    about = (bench.home / "quarantine" / f"2025-10-09-{job}-x" / ABOUT).read_text()
    command = about.splitlines()[-1].strip()
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert git(root, "status", "--porcelain") == "?? new.txt"
    assert str(root) in git(repository, "worktree", "list", "--porcelain")


async def test_the_branch_of_a_moved_worktree_can_be_worked_on_again(
    bench: Bench, repository: Path, away: Away
) -> None:
    job, root = await bench.worked(repository)
    (root / "a.txt").write_text("two\n")
    git(root, "commit", "--all", "--quiet", "--message", "work")
    assert await retire_each(away, leaving(bench), Turn(60)) == (1, 0)
    git(repository, "worktree", "add", "--force", "--quiet", str(root), f"headway/{job}-x")
    assert (root / "a.txt").read_text() == "two\n"


async def test_one_that_holds_nothing_of_its_own_is_removed(bench: Bench, repository: Path, away: Away) -> None:
    untouched, _ = await bench.worked(repository)
    merged, root = await bench.worked(repository)
    (root / "a.txt").write_text("two\n")
    git(root, "commit", "--all", "--quiet", "--message", "work")
    git(repository, "merge", "--quiet", f"headway/{merged}-x")
    assert await retire_each(away, leaving(bench), Turn(60)) == (0, 2)
    assert list((bench.home / "worktrees").iterdir()) == []
    assert git(repository, "branch", "--format=%(refname:short)") == "main"
    assert git(repository, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert untouched != merged


@pytest.mark.parametrize("what", ["changed", "untracked", "ignored", "committed"])
async def test_anything_that_could_be_work_is_moved_and_not_removed(
    bench: Bench, repository: Path, away: Away, what: str
) -> None:
    _, root = await bench.worked(repository)
    match what:
        case "changed":
            (root / "a.txt").write_text("two\n")
        case "untracked":
            (root / "b.txt").write_text("two\n")
        case "ignored":
            (root / "run.log").write_text("two\n")
        case _:
            (root / "a.txt").write_text("two\n")
            git(root, "commit", "--all", "--quiet", "--message", "work")
    assert await retire_each(away, leaving(bench), Turn(60)) == (1, 0)


@pytest.mark.parametrize("how", ["--assume-unchanged", "--skip-worktree", "repository within", "submodule", "rebase"])
async def test_work_that_git_does_not_show_is_moved_and_not_removed(
    bench: Bench, repository: Path, away: Away, how: str
) -> None:
    job, root = await bench.worked(repository)
    allow = ("-c", "protocol.file.allow=always")
    match how:
        case "repository within":
            (root / "inner" / ".git").mkdir(parents=True)
            (root / "inner" / ".git" / "notes").write_text("two\n")
        case "submodule":
            git(root, *allow, "submodule", "--quiet", "add", str(repository), "inner")
            git(root, "commit", "--quiet", "--message", "inner")
            git(repository, *allow, "merge", "--quiet", f"headway/{job}-x")
            (root / "inner" / "a.txt").write_text("two\n")
            git(root, "config", "diff.ignoreSubmodules", "all")
        case "rebase":
            (root / "a.txt").write_text("two\n")
            editor = "sequence.editor=sed -i 1ibreak"
            git(root, "-c", editor, "rebase", "--quiet", "--interactive", "--autostash", "HEAD")
        case mark:
            git(root, "update-index", mark, "a.txt")
            (root / "a.txt").write_text("two\n")
    assert await retire_each(away, leaving(bench), Turn(60)) == (1, 0)
    assert not root.exists()
    if how != "rebase":
        assert "two\n" in [path.read_text() for path in (bench.home / "quarantine").rglob("*.txt")] + [
            path.read_text() for path in (bench.home / "quarantine").rglob("notes")
        ]


async def test_a_locked_worktree_is_not_touched(
    bench: Bench, repository: Path, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    _, root = await bench.worked(repository)
    for work in (False, True):
        if work:
            (root / "new.txt").write_text("work\n")
        git(repository, "worktree", "lock", "--reason", "on a stick", str(root))
        assert await retire_each(away, leaving(bench), Turn(60)) == (0, 0)
        assert "it is locked (on a stick): `git worktree unlock" in caplog.text
        assert root.exists()
        git(repository, "worktree", "unlock", str(root))
    assert await retire_each(away, leaving(bench), Turn(60)) == (1, 0)
    moved = next((bench.home / "quarantine").glob("*/*-x"))
    git(repository, "worktree", "lock", str(moved))
    assert await expire(replace(away, now=NOW + KEEP + DAY), Turn(60)) == 0, "nor is one that was locked since"
    assert (moved / "new.txt").exists()


async def test_only_of_jobs_that_ended_long_ago_and_worked_there(bench: Bench, repository: Path) -> None:
    old, root = await bench.worked(repository)
    await bench.worked(repository, days=5)
    bench.now -= 50 * DAY
    running = await bench.submit()
    await bench.start(running, workspace=bench.home / "worktrees" / f"{running}-x")
    bench.now = NOW
    (bench.home / "worktrees" / f"{running}-x").mkdir()
    (bench.home / "worktrees" / f"{old}-of-another-database").mkdir()
    (bench.home / "worktrees" / f"{old}-x.aside-1").mkdir()
    (bench.home / "worktrees" / "notes").mkdir()
    assert [one.root for one in leaving(bench)] == [root]


async def test_a_job_that_was_put_back_meanwhile_keeps_its_worktree(bench: Bench, repository: Path, away: Away) -> None:
    _, root = await bench.worked(repository)
    assert await retire_each(away, leaving(bench), Turn(60), lambda one: False) == (0, 0)
    assert root.exists()


async def test_nothing_outside_the_homes_own_folders_is_ever_chosen(bench: Bench, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "sub").mkdir(parents=True)
    worktrees = bench.home / "worktrees"
    worktrees.mkdir()
    (worktrees / "1-x").mkdir()
    (worktrees / "1-link").symlink_to(elsewhere)
    assert root_of(bench.home, str(worktrees / "1-x" / "deep" / "below")) == worktrees / "1-x"
    for workspace in (elsewhere, worktrees, bench.home, worktrees / "1-link" / "sub", worktrees / "gone", "relative"):
        assert root_of(bench.home, str(workspace)) is None, workspace
    job = await bench.ended(workspace=elsewhere)
    assert of_pruned(bench.home, (await bench.prune()).gone) == []
    assert elsewhere.exists()
    assert job == 1


async def test_a_worktree_whose_repository_is_gone_is_moved_as_it_is(
    bench: Bench, repository: Path, away: Away
) -> None:
    job, root = await bench.worked(repository)
    repository.rename(repository.with_name("gone"))
    assert await retire_each(away, leaving(bench), Turn(60)) == (1, 0)
    moved = bench.home / "quarantine" / f"2025-10-09-{job}-x" / root.name
    assert (moved / "a.txt").read_text() == "one\n"


async def test_two_of_one_name_on_one_day_do_not_meet(bench: Bench, repository: Path, away: Away) -> None:
    _, root = await bench.worked(repository)
    (one,) = leaving(bench)
    for text in ("first", "second"):
        root.mkdir(exist_ok=True)
        (root / "new.txt").write_text(text)
        await retire(away, one)
    assert contents(bench.home) == ["2025-10-09-1-x-2/1-x", "2025-10-09-1-x/1-x"]


async def test_one_that_cannot_be_moved_stays_where_it_is(
    bench: Bench, repository: Path, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    _, root = await bench.worked(repository)
    (root / "new.txt").write_text("work\n")
    (bench.home / "quarantine").write_text("a file in the way")
    assert await retire_each(away, leaving(bench), Turn(60)) == (0, 0)
    assert (root / "new.txt").exists()
    assert "stays where it is" in caplog.text


async def test_the_quarantine_is_emptied_after_its_time(bench: Bench, repository: Path, away: Away) -> None:
    job, root = await bench.worked(repository)
    (root / "new.txt").write_text("work\n")
    (root / "cache").mkdir()
    (root / "cache" / "module").write_text("x")
    (root / "cache").chmod(0o500)
    await retire_each(away, leaving(bench), Turn(60))
    assert await expire(replace(away, now=NOW + KEEP), Turn(60)) == 0, "the day is not over yet"
    assert await expire(replace(away, now=NOW + KEEP + DAY), Turn(60)) == 1
    assert list((bench.home / "quarantine").iterdir()) == []
    assert git(repository, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert f"headway/{job}-x" in git(repository, "branch", "--list", "--format=%(refname:short)")


async def test_what_headway_did_not_put_there_is_never_removed(bench: Bench, away: Away, tmp_path: Path) -> None:
    folder = bench.home / "quarantine"
    (folder / "2020-01-01-mine").mkdir(parents=True)
    (folder / "2020-01-01-mine" / "file").touch()
    (folder / "notes").mkdir()
    (folder / "notes" / ABOUT).write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ABOUT).write_text("x")
    (folder / "2020-01-01-link").symlink_to(tmp_path / "elsewhere")
    assert await expire(away, Turn(60)) == 0
    assert sorted(os.listdir(folder)) == ["2020-01-01-link", "2020-01-01-mine", "notes"]


async def test_a_crash_between_the_move_and_gits_knowing_is_mended(
    bench: Bench, repository: Path, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, root = await bench.worked(repository)
    (root / "new.txt").write_text("work\n")

    async def crash(moved: Path) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as patched:
        patched.setattr(quarantine, "_reconnect", crash)
        await retire_each(away, leaving(bench), Turn(60))
    ((box, _),) = boxes(bench.home)
    assert str(root) in git(repository, "worktree", "list", "--porcelain")
    await reconnect_all(bench.home)
    assert str(box / root.name) in git(repository, "worktree", "list", "--porcelain")
    assert git(box / root.name, "status", "--porcelain") == "?? new.txt"


async def test_a_crash_before_the_move_leaves_the_worktree_and_an_empty_box(bench: Bench, away: Away) -> None:
    box = bench.home / "quarantine" / "2025-08-01-1-x"
    box.mkdir(parents=True)
    (box / ABOUT).write_text("nothing came in here")
    assert await expire(away, Turn(60)) == 1
    assert not box.exists()


async def test_the_directory_of_a_job_without_a_project_goes_with_a_prune(bench: Bench, away: Away) -> None:
    used, empty = bench.home / "work" / "1", bench.home / "work" / "2"
    for place in (used, empty):
        place.mkdir(parents=True)
        await bench.ended(workspace=place)
    (used / "report.md").write_text("findings")
    found = of_pruned(bench.home, (await bench.prune()).gone)
    assert await retire_each(away, found, Turn(60)) == (1, 1)
    assert contents(bench.home) == ["2025-10-09-work-1/1"]
    assert "which is succeeded and pruned" in (bench.home / "quarantine" / "2025-10-09-work-1" / ABOUT).read_text()


async def test_what_a_crash_in_a_prune_left_is_found_and_put_away(bench: Bench, away: Away) -> None:
    pruned = await bench.ended(output=b"x" * 10)
    kept = await bench.ended(days=2, output=b"x" * 10)
    await bench.prune()
    (bench.home / "worktrees" / f"{pruned}-x").mkdir(parents=True)
    (bench.home / "worktrees" / f"{pruned}-x" / "file").write_text("x")
    # Of a database that stood here before, or of one that comes back with a restore.
    bench.write_run(kept + 1, b"of another database")
    (bench.home / "worktrees" / f"{kept + 1}-y").mkdir()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        found = forgotten(connection, bench.home)
    assert sorted(one.root.name for one in found) == [str(pruned), f"{pruned}-x"]
    assert await retire_each(away, found, Turn(60)) == (2, 0)
    assert contents(bench.home) == [f"2025-10-09-{pruned}-x/{pruned}-x", f"2025-10-09-runs-{pruned}/{pruned}"]
    assert (bench.home / "runs" / str(kept + 1) / "1" / "stdout").exists()


async def test_a_box_that_a_crash_left_empty_goes_and_a_young_one_stays(bench: Bench, away: Away) -> None:
    folder = bench.home / "quarantine"
    for name in ("2025-10-01-1-x", "2025-10-02-2-x", "2025-10-03-3-x", "2025-10-08-4-x", "2025-10-09-5-x", "mine"):
        (folder / name).mkdir(parents=True)
    (folder / "2025-10-01-1-x" / ABOUT).write_text("whose it was")
    (folder / "2025-10-02-2-x" / f".{ABOUT}.123.tmp").write_text("whose")
    (folder / "2025-10-03-3-x" / "work.txt").write_text("work")
    assert await expire(away, Turn(60)) == 2
    assert sorted(box.name for box in folder.iterdir()) == [
        "2025-10-03-3-x",
        "2025-10-08-4-x",
        "2025-10-09-5-x",
        "mine",
    ]
