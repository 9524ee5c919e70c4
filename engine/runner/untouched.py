"""Whether a worktree holds anything that git does not have. Only one that does not may be removed.

Git's own word is not enough: it is silent about files that it was told not to look at, about what lies in a repository
within, about what it cannot read, and about what an unfinished rebase has put by.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Set as AbstractSet
from pathlib import Path

from engine.runner.git import git
from engine.runner.hidden import index_of, repositories

#: In a worktree's own part of the repository: git is in the middle of something, and may have put changes by.
_UNFINISHED = (
    "rebase-merge", "rebase-apply", "sequencer", "MERGE_HEAD", "MERGE_AUTOSTASH", "CHERRY_PICK_HEAD", "REVERT_HEAD",
    "BISECT_LOG",
)  # fmt: skip


async def work_in(root: Path) -> str | None:
    """What of a worktree would be lost with it, for a person to read; None where nothing would. Commits are not asked.

    Raises `GitError` for one that git cannot read.
    """
    own = Path(await git(root, "rev-parse", "--absolute-git-dir"))
    for name in _UNFINISHED:
        if (own / name).exists():
            return f"git is in the middle of something: {own / name}"
    if within := await repositories(root):
        return f"there is a repository within: {within[0]}"
    status = ("status", "--porcelain", "--ignored", "--untracked-files=all", "--ignore-submodules=none")
    if changed := await git(root, *status):
        return f"it is not as git has it: {changed.splitlines()[0]}"
    index = await index_of(root)
    if index.unchanged or index.skipped:
        return f"git was told not to look at {(*index.unchanged, *index.skipped)[0]}"
    return await asyncio.to_thread(_beside, root, index.names)


def _beside(root: Path, known: AbstractSet[str]) -> str | None:
    """The first thing that git does not have. Directories with nothing in them are nothing."""
    unread: list[OSError] = []
    for directory, folders, names in os.walk(root, onerror=unread.append):
        here = Path(directory)
        if here == root:
            names = [name for name in names if name != ".git"]
        for name in (*names, *(folder for folder in folders if (here / folder).is_symlink())):
            if (found := str((here / name).relative_to(root))) not in known:
                return f"git does not have {found}"
    return f"{unread[0].filename} cannot be read" if unread else None
