"""A worktree is set back to where its job began, whatever state an attempt left it in, and nothing of it is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import RefusedError
from engine.model import Workspace
from engine.runner.git import GitError
from engine.runner.workspace import Placed
from tests.runner.gitting import Bench, contents, git

REF = "refs/headway/1-fix-it/1"


async def set_back(bench: Bench, placed: Placed, attempt: int = 1) -> None:
    await bench.workspaces.set_back(placed, attempt, "marker")


def kept(bench: Bench, ref: str = REF) -> dict[str, str]:
    """The files of what was kept."""
    names = git(bench.project, "ls-tree", "-r", "--name-only", ref).split("\n")
    return {name: git(bench.project, "show", f"{ref}:{name}") for name in names}


def stands_as_it_began(bench: Bench, placed: Placed) -> None:
    assert contents(placed.directory) == contents(bench.project)
    assert git(placed.directory, "status", "--porcelain") == ""
    assert git(placed.directory, "rev-parse", "HEAD") == placed.base
    assert git(placed.directory, "symbolic-ref", "HEAD") == f"refs/heads/{placed.branch}"


def commit(root: Path, name: str) -> str:
    (root / name).write_text(f"{name}\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", name)
    return git(root, "rev-parse", "HEAD")


def _change(root: Path) -> None:
    (root / "a.txt").write_text("changed\n")
    (root / "sub" / "b.txt").unlink()
    (root / "new.txt").write_text("new\n")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "x").write_text("x\n")


def _stage(root: Path) -> None:
    _change(root)
    git(root, "add", "--all")


def _commit(root: Path) -> None:
    commit(root, "one.txt")
    commit(root, "two.txt")
    _change(root)


def _other_branch(root: Path) -> None:
    commit(root, "one.txt")
    git(root, "checkout", "--quiet", "-b", "elsewhere")
    commit(root, "two.txt")
    _change(root)


def _detach(root: Path) -> None:
    git(root, "checkout", "--quiet", "--detach")
    commit(root, "one.txt")
    _change(root)


def _orphan(root: Path) -> None:
    git(root, "checkout", "--quiet", "--orphan", "fresh")
    _change(root)


def _delete_branch(root: Path) -> None:
    git(root, "checkout", "--quiet", "--detach")
    git(root, "branch", "--quiet", "-D", "headway/1-fix-it")
    _change(root)


def _locked(root: Path) -> None:
    _change(root)
    (Path(git(root, "rev-parse", "--absolute-git-dir")) / "index.lock").touch()


def _middle_of_a_rebase(root: Path) -> None:
    commit(root, "a.txt")
    git(root, "checkout", "--quiet", "-b", "side", "HEAD~1")
    (root / "a.txt").write_text("of the side\n")
    git(root, "commit", "--quiet", "--all", "--message", "side")
    with pytest.raises(AssertionError):
        git(root, "rebase", "headway/1-fix-it")
    (root / "new.txt").write_text("new\n")


def _middle_of_a_merge(root: Path) -> None:
    commit(root, "a.txt")
    git(root, "checkout", "--quiet", "-b", "side", "HEAD~1")
    (root / "a.txt").write_text("of the side\n")
    git(root, "commit", "--quiet", "--all", "--message", "side")
    with pytest.raises(AssertionError):
        git(root, "merge", "headway/1-fix-it")
    (root / "new.txt").write_text("new\n")


def _marked_as_unchanged(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", "a.txt")
    (root / "a.txt").write_text("changed\n")


def _left_out_and_there(root: Path) -> None:
    git(root, "update-index", "--skip-worktree", "a.txt")
    (root / "a.txt").write_text("changed\n")


LEFT = (
    _change, _stage, _commit, _other_branch, _detach, _orphan, _delete_branch, _locked, _middle_of_a_rebase,
    _middle_of_a_merge, _marked_as_unchanged, _left_out_and_there,
)  # fmt: skip


@pytest.mark.parametrize("leave", LEFT, ids=lambda leave: leave.__name__.strip("_"))
async def test_whatever_was_left_is_kept_and_the_worktree_stands_as_it_began(
    bench: Bench, leave: Callable[[Path], None]
) -> None:
    placed = await bench.prepare()
    leave(placed.directory)
    before = contents(placed.directory)
    head = git(placed.directory, "rev-parse", "HEAD") if leave is not _orphan else None
    await set_back(bench, placed)
    stands_as_it_began(bench, placed)
    assert {name: text for name, (text, _) in before.items()} == {
        name: text.encode() + b"\n" for name, text in kept(bench).items()
    }
    if head is not None:
        assert git(bench.project, "merge-base", head, REF) == head, "its commits can be reached"
    assert not (Path(git(placed.directory, "rev-parse", "--absolute-git-dir")) / "rebase-merge").exists()
    await set_back(bench, placed, 2)
    stands_as_it_began(bench, placed)
    assert git(bench.project, "for-each-ref", "refs/headway").count("\n") == 0, "there was nothing more to keep"


async def test_commits_of_the_job_s_branch_are_kept_though_it_stood_elsewhere(bench: Bench) -> None:
    placed = await bench.prepare()
    mine = commit(placed.directory, "one.txt")
    git(placed.directory, "checkout", "--quiet", "--detach", "HEAD~1")
    await set_back(bench, placed)
    assert git(bench.project, "merge-base", mine, REF) == mine


async def test_a_worktree_in_which_nothing_was_done_needs_no_ref(bench: Bench) -> None:
    placed = await bench.prepare()
    await set_back(bench, placed)
    stands_as_it_began(bench, placed)
    assert git(bench.project, "for-each-ref", "refs/headway") == ""


async def test_a_second_go_loses_nothing_of_the_first(bench: Bench) -> None:
    """The engine may have died between the keeping and the setting back."""
    placed = await bench.prepare()
    _change(placed.directory)
    await set_back(bench, placed)
    first = git(bench.project, "rev-parse", REF)
    (placed.directory / "more.txt").write_text("more\n")
    await set_back(bench, placed)
    assert "more.txt" in kept(bench)
    assert git(bench.project, "merge-base", first, REF) == first
    assert kept(bench, first)["new.txt"] == "new"


async def test_what_git_ignores_stays_for_the_next_attempt(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / "cache.log").write_text("warm\n")
    _change(placed.directory)
    await set_back(bench, placed)
    assert (placed.directory / "cache.log").read_text() == "warm\n"


async def test_what_the_attempt_itself_had_git_ignore_is_kept_and_cleared(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / ".gitignore").write_text("*.log\n*.secret\n")
    (placed.directory / "x.secret").write_text("hidden\n")
    await set_back(bench, placed)
    stands_as_it_began(bench, placed)
    assert kept(bench)["x.secret"] == "hidden"
    assert "*.secret" in kept(bench, f"{REF}^2")[".gitignore"]


def _untracked_and_ignored(root: Path) -> None:
    git(root, "rm", "--quiet", "--cached", "a.txt")
    (root / ".gitignore").write_text("a.txt\n")
    (root / "a.txt").write_text("hidden\n")


def _a_directory_for_a_file(root: Path) -> None:
    (root / "a.txt").unlink()
    (root / "a.txt").mkdir()
    (root / "a.txt" / "x.log").write_text("hidden\n")


def _a_file_for_a_directory(root: Path) -> None:
    shutil.rmtree(root / "sub")
    (root / ".gitignore").write_text("sub\n")
    (root / "sub").write_text("hidden\n")


@pytest.mark.parametrize(
    ("leave", "name"),
    [(_untracked_and_ignored, "a.txt"), (_a_directory_for_a_file, "a.txt/x.log"), (_a_file_for_a_directory, "sub")],
    ids=["a file", "a directory", "a file for a directory"],
)
async def test_ignored_files_in_the_place_of_the_beginnings_are_kept(
    bench: Bench, leave: Callable[[Path], None], name: str
) -> None:
    placed = await bench.prepare()
    leave(placed.directory)
    await set_back(bench, placed)
    stands_as_it_began(bench, placed)
    assert kept(bench)[name] == "hidden"


def _git_cannot_read(root: Path) -> None:
    """A filter that fails, as one does whose program is not there; a file that may not be read is the same."""
    git(root, "config", "filter.broken.clean", "false")
    git(root, "config", "filter.broken.required", "true")
    (root / ".gitattributes").write_text("a.txt filter=broken\n")
    (root / "a.txt").write_text("precious\n")


def _staged_and_then_unreadable(root: Path) -> None:
    (root / "new.txt").write_text("before\n")
    git(root, "add", "new.txt")
    _git_cannot_read(root)
    git(root, "config", "core.attributesFile", str(root / ".gitattributes"))
    (root / ".gitattributes").write_text("new.txt filter=broken\n")
    (root / "new.txt").write_text("precious\n")


def _repository_for_a_directory(root: Path) -> None:
    git(root / "sub", "init", "--quiet")
    (root / "sub" / "b.txt").write_text("precious\n")
    git(root / "sub", "add", ".")
    git(root / "sub", "commit", "--quiet", "--message", "inner")
    (root / "sub" / "b.txt").write_text("and more precious\n")
    git(root, "rm", "--quiet", "-r", "--cached", "sub")


@pytest.mark.parametrize(
    "leave",
    [_git_cannot_read, _staged_and_then_unreadable, _repository_for_a_directory],
    ids=lambda leave: leave.__name__.strip("_"),
)  # fmt: skip
async def test_what_git_cannot_keep_stays_and_nothing_is_set_back(bench: Bench, leave: Callable[[Path], None]) -> None:
    placed = await bench.prepare()
    leave(placed.directory)
    (placed.directory / "other.txt").write_text("of the attempt\n")
    before = {path: path.read_bytes() for path in placed.directory.rglob("*.txt")}
    with pytest.raises(RefusedError, match="is not set back: git cannot keep") as refused:
        await set_back(bench, placed)
    assert "\n" not in str(refused.value)
    assert {path: path.read_bytes() for path in placed.directory.rglob("*.txt")} == before


async def test_what_holds_nothing_gives_way(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / "a.txt").unlink()
    os.mkfifo(placed.directory / "a.txt")
    await set_back(bench, placed)
    stands_as_it_began(bench, placed)


async def test_what_a_rebase_has_put_by_can_be_had_from_the_stash(bench: Bench) -> None:
    placed = await bench.prepare()
    root = placed.directory
    (root / "a.txt").write_text("put by\n")
    git(root, "-c", "sequence.editor=sed -i 1ibreak", "rebase", "--quiet", "--interactive", "--autostash", "HEAD")
    await set_back(bench, placed)
    stands_as_it_began(bench, placed)
    assert git(bench.project, "show", "stash@{0}:a.txt") == "put by"


async def test_a_repository_inside_is_left_alone(bench: Bench) -> None:
    placed = await bench.prepare()
    inner = placed.directory / "inner"
    git(placed.directory, "init", "--quiet", "inner")
    (inner / "precious.txt").write_text("p\n")
    (placed.directory / "new.txt").write_text("new\n")
    await set_back(bench, placed)
    assert (inner / "precious.txt").read_text() == "p\n"
    assert not (placed.directory / "new.txt").exists()
    commit(inner, "committed.txt")
    await set_back(bench, placed)
    assert (inner / "precious.txt").read_text() == "p\n"


async def test_unchanged_files_keep_their_times(bench: Bench) -> None:
    """What a build has made of them is still good."""
    placed = await bench.prepare()
    before = (placed.directory / "sub" / "b.txt").stat().st_mtime_ns
    (placed.directory / "a.txt").write_text("changed\n")
    await set_back(bench, placed)
    assert (placed.directory / "sub" / "b.txt").stat().st_mtime_ns == before


async def test_the_project_below_the_top_is_there_again(bench: Bench) -> None:
    placed = await bench.prepare(project=bench.project / "sub")
    git(placed.directory.parent, "rm", "--quiet", "-r", "sub")
    await set_back(bench, placed)
    assert (placed.directory / "b.txt").read_text() == "b\n"


async def test_no_hook_and_no_setting_of_the_agent_runs(bench: Bench, tmp_path: Path) -> None:
    placed = await bench.prepare()
    for name in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "post-rewrite"):
        hook = bench.project / ".git" / "hooks" / name
        hook.write_text(f'#!/bin/sh\necho {name} >>"{tmp_path}/ran"\n')
        hook.chmod(0o755)
    git(bench.project, "config", "core.fsmonitor", str(hook))
    _change(placed.directory)
    await set_back(bench, placed)
    assert not (tmp_path / "ran").exists()


async def test_only_a_worktree_of_this_home_is_set_back(bench: Bench, tmp_path: Path) -> None:
    own = await bench.prepare()
    in_place = await bench.prepare(wanted=Workspace.PROJECT)
    (tmp_path / "plain").mkdir()
    plain = await bench.prepare(project=tmp_path / "plain")
    elsewhere = replace(own, root=bench.project)
    _change(bench.project)
    before = contents(bench.project)
    for placed in (in_place, plain, elsewhere):
        with pytest.raises(RefusedError, match="is not set back"):
            await set_back(bench, placed)
    assert contents(bench.project) == before


async def test_a_base_that_is_gone_changes_nothing(bench: Bench) -> None:
    placed = await bench.prepare()
    _change(placed.directory)
    before = contents(placed.directory)
    with pytest.raises(GitError):
        await set_back(bench, replace(placed, base="0" * 39 + "1"))
    assert contents(placed.directory) == before


async def test_two_homes_keep_what_they_set_back_apart(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    other = Bench(bench.project, tmp_path / "second")
    for one, text in ((bench, "first\n"), (other, "second\n")):
        placed = await one.prepare()
        (placed.directory / "a.txt").write_text(text)
        await set_back(one, placed)
    refs = git(bench.project, "for-each-ref", "--format=%(refname)", "refs/headway").split("\n")
    assert sorted(kept(bench, ref)["a.txt"] for ref in refs) == ["first", "second"]
