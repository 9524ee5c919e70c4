"""A checkout of the queue's own in which the checks of one merge run, and which goes when they have."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.runner.git import GitError, git

FOLDER = "merges"  #: below the home


def plot_of(home: Path, merge: int) -> Path:
    return home / FOLDER / str(merge)


async def lay_out(repository: Path, root: Path, commit: str, env: Mapping[str, str]) -> None:
    """A checkout of a commit, made anew whatever stands there. Raises `GitError`."""
    await clear_away(repository, root)
    root.parent.mkdir(parents=True, exist_ok=True)
    await git(repository, "worktree", "add", "--force", "--quiet", "--detach", str(root), commit, env=env)


async def clear_away(repository: Path, root: Path) -> None:
    """Remove it. It holds nothing but a commit and what the checks made of it."""
    if root.exists():
        with contextlib.suppress(GitError):
            await git(repository, "worktree", "remove", "--force", "--force", str(root))
        shutil.rmtree(root, ignore_errors=True)
