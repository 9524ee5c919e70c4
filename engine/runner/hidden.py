"""Files that git was told not to look at: marked as unchanged, or as left out of a sparse checkout.

What is changed in them is in no `git status` and no `git add`, and yet a reset or the removal of a worktree takes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.runner.git import GitError, git

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


async def repositories(root: Path, env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The repositories within that an index knows of and that are there. Raises `GitError`.

    To see whether one is changed, git calls itself in it, by its settings: with the filters that an agent put there.
    """
    staged = split(await git(root, "ls-files", "--stage", "-z", env=env))
    names = dict.fromkeys(one.partition("\t")[2] for one in staged if one.startswith("160000 "))
    return tuple(name for name in names if os.path.lexists(root / name / ".git"))


async def add_all(root: Path, env: Mapping[str, str] | None = None) -> bool:
    """Put all that is there into the index; False where git could not take some of it. Raises `GitError`.

    A repository within is taken as if it were new: only its commit counts, and nothing of its own is run.
    """
    within = await repositories(root, env)
    if within:
        await git(root, "update-index", "--force-remove", "-z", "--stdin", env=env, stdin=joined(within))
    whole = await _added(root, ("--all",), env)
    if within and (left := tuple(set(within) - set(await repositories(root, env)))):  # a rule ignores it
        paths = tuple(f":(top,literal){name}" for name in left)
        how = ("--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        whole = await _added(root, how, env, joined(paths)) and whole
    return whole


async def _added(root: Path, what: tuple[str, ...], env: Mapping[str, str] | None, stdin: bytes = b"") -> bool:
    try:
        await git(root, "add", *what, "--ignore-errors", "--sparse", env=env, stdin=stdin)
    except GitError:
        return False
    return True


def split(printed: str) -> list[str]:
    """What git printed with -z."""
    return [one for one in printed.split(NUL) if one]


def joined(names: tuple[str, ...]) -> bytes:
    """Names as git reads them with -z."""
    return b"".join(os.fsencode(name) + b"\0" for name in names)
