"""Files that git was told not to look at: marked as unchanged, or as left out of a sparse checkout.

What is changed in them is in no `git status` and no `git add`, and yet a reset or the removal of a worktree takes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.runner.git import git

NUL = "\0"


@dataclass(frozen=True, slots=True)
class Index:
    """What an index holds, and which of its files git does not look at though they are there."""

    names: frozenset[str]
    unchanged: tuple[str, ...]
    """Marked with `git update-index --assume-unchanged`."""
    skipped: tuple[str, ...]
    """Marked with `--skip-worktree`, as a sparse checkout does with what it leaves out: but these are there."""


async def index_of(root: Path, env: Mapping[str, str] | None = None) -> Index:
    """Read a worktree's index, or the one that the environment names. Raises `GitError`."""
    names, unchanged, skipped = set(), [], []
    for line in split(await git(root, "ls-files", "-v", "-z", env=env)):
        tag, name = line[0], line[2:]
        names.add(name)
        if tag.islower():
            unchanged.append(name)
        if tag in "sS" and os.path.lexists(root / name):
            skipped.append(name)
    return Index(frozenset(names), tuple(unchanged), tuple(skipped))


async def unhide(root: Path, env: Mapping[str, str] | None = None) -> None:
    """Let git look at all files again that are there. Raises `GitError`."""
    found = await index_of(root, env)
    for option, names in (("--no-assume-unchanged", found.unchanged), ("--no-skip-worktree", found.skipped)):
        if names:
            await git(root, "update-index", option, "-z", "--stdin", env=env, stdin=joined(names))


def split(printed: str) -> list[str]:
    """What git printed with -z."""
    return [one for one in printed.split(NUL) if one]


def joined(names: tuple[str, ...]) -> bytes:
    """Names as git reads them with -z."""
    return b"".join(os.fsencode(name) + b"\0" for name in names)
