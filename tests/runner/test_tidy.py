"""A worktree is removed only where nothing in it could be missed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.errors import HeadwayError
from engine.runner.git import GitError
from tests.runner.gitting import Bench, git


async def test_a_worktree_in_which_nothing_was_done_goes_with_its_branch(bench: Bench) -> None:
    placed = await bench.prepare()
    assert await bench.workspaces.tidy(placed)
    assert not placed.directory.exists()
    assert (bench.branches(), bench.worktrees()) == (["main"], 1)
    again = await bench.prepare(number=2, base=placed.base)
    assert again == placed, "a retry of it starts afresh"


async def test_what_was_removed_but_for_its_branch_is_removed_to_its_end(bench: Bench) -> None:
    placed = await bench.prepare()
    git(bench.project, "worktree", "remove", str(placed.root))
    assert str(placed.branch) in bench.branches()
    assert await bench.workspaces.tidy(placed)
    assert bench.branches() == ["main"]


def _write(root: Path) -> None:
    (root / "a.txt").write_text("changed\n")


def _stage(root: Path) -> None:
    (root / "a.txt").write_text("changed\n")
    git(root, "add", ".")
    git(root, "checkout", "--quiet", "HEAD", "--", ".gitignore")


def _unstage(root: Path) -> None:
    (root / "a.txt").write_text("changed\n")
    git(root, "add", ".")
    (root / "a.txt").write_text("one\ntwo\nthree\n")


def _untracked(root: Path) -> None:
    (root / "new.txt").touch()


def _untracked_deep(root: Path) -> None:
    (root / "x" / "y").mkdir(parents=True)
    (root / "x" / "y" / "new.txt").touch()


def _ignored(root: Path) -> None:
    (root / "notes.log").write_text("the only copy\n")


def _committed(root: Path) -> None:
    git(root, "commit", "--quiet", "--allow-empty", "--message", "thoughts")


def _deleted(root: Path) -> None:
    (root / "a.txt").unlink()


def _mode(root: Path) -> None:
    (root / "a.txt").chmod(0o755)


def _other_branch(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "elsewhere")
    _committed(root)


def _orphan(root: Path) -> None:
    git(root, "checkout", "--quiet", "--orphan", "fresh")


def _nested(root: Path) -> None:
    git(root, "init", "--quiet", "inner")


def _hidden(root: Path) -> None:
    git(root, "config", "status.showUntrackedFiles", "no")
    _untracked(root)


def _marked_as_unchanged(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", "a.txt")
    _write(root)


def _left_out_and_there(root: Path) -> None:
    git(root, "update-index", "--skip-worktree", "a.txt")
    _write(root)


def _excluded(root: Path) -> None:
    exclude = Path(git(root, "rev-parse", "--path-format=absolute", "--git-path", "info/exclude"))
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("*.secret\n")
    (root / "x.secret").write_text("the only copy\n")


def _repository_in_a_tracked_directory(root: Path) -> None:
    """Git does not look below a name of `.git`, and takes the files beside it for its own."""
    (root / "sub" / ".git").mkdir()
    (root / "sub" / ".git" / "notes").write_text("the only copy\n")


def _fifo(root: Path) -> None:
    os.mkfifo(root / "pipe")


def _socket(root: Path) -> None:
    os.mknod(root / "s", stat.S_IFSOCK | 0o600)


def _odd_name(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b'/ \n\xff" -> x'))).write_text("odd\n")


def _link(root: Path) -> None:
    (root / "link").symlink_to("sub")


def _dangling_link(root: Path) -> None:
    (root / "link").symlink_to("nowhere")


def _put_by(root: Path) -> None:
    """A rebase that stopped has put the changes by in the worktree's own part of the repository."""
    _write(root)
    git(root, "-c", "sequence.editor=sed -i 1ibreak", "rebase", "--quiet", "--interactive", "--autostash", "HEAD")
    assert git(root, "status", "--porcelain") == ""


def _submodule(root: Path) -> None:
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "inner")


@pytest.mark.parametrize(
    "work",
    (_write, _stage, _unstage, _untracked, _untracked_deep, _ignored, _committed, _deleted, _mode, _other_branch,
     _orphan, _nested, _hidden, _marked_as_unchanged, _left_out_and_there, _excluded, _fifo, _socket, _odd_name,
     _repository_in_a_tracked_directory, _link, _dangling_link, _put_by, _submodule),
    ids=lambda work: work.__name__.strip("_"),
)  # fmt: skip
async def test_a_worktree_that_may_hold_work_is_never_removed(bench: Bench, work: object) -> None:
    placed = await bench.prepare()
    assert callable(work)
    work(placed.directory)
    files = {path: path.read_bytes() for path in placed.directory.rglob("*") if path.is_file()}
    await bench.measure(placed)
    try:
        removed = await bench.workspaces.tidy(placed)
    except HeadwayError:
        removed = False
    assert not removed
    assert {path: path.read_bytes() for path in placed.directory.rglob("*") if path.is_file()} == files
    assert str(placed.branch) in bench.branches()


async def test_a_sparse_worktree_in_which_nothing_was_done_goes(bench: Bench) -> None:
    """What it leaves out is not there, and git has it."""
    placed = await bench.prepare()
    git(placed.directory, "sparse-checkout", "set", "--no-cone", "/a.txt")
    assert not (placed.directory / "sub").exists()
    assert await bench.workspaces.tidy(placed)


async def test_a_locked_worktree_stays(bench: Bench) -> None:
    placed = await bench.prepare()
    git(bench.project, "worktree", "lock", str(placed.root))
    with pytest.raises(GitError):
        await bench.workspaces.tidy(placed)
    assert placed.directory.exists()
    assert str(placed.branch) in bench.branches()


# Names


async def test_a_branch_whose_head_is_elsewhere_is_not_deleted(bench: Bench) -> None:
    placed = await bench.prepare()
    git(placed.directory, "commit", "--quiet", "--allow-empty", "--message", "work")
    tip = git(placed.directory, "rev-parse", "HEAD")
    git(placed.directory, "checkout", "--quiet", "--detach", "HEAD~1")
    assert not await bench.workspaces.tidy(placed)
    assert git(bench.project, "rev-parse", placed.branch or "") == tip
