"""Refs by which git keeps commits of ours that are on no branch. Several homes may work on one repository."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from pathlib import Path

from engine.runner.git import git

NAME_CHARS = 8  #: of what tells one home's refs from another's


def name_of(home: Path) -> str:
    """What tells a home's refs from another's."""
    return uuid.uuid5(uuid.NAMESPACE_URL, home.as_uri()).hex[:NAME_CHARS]


def folder_of(home: Path, what: str) -> str:
    """Where a home's refs of a sort are: `refs/headway/merges/1f0c2d3e/`."""
    return f"refs/headway/{what}/{name_of(home)}/"


def ref_of(home: Path, what: str, number: int) -> str:
    """The ref that keeps the commit of a merge or of a pipeline."""
    return f"{folder_of(home, what)}{number}"


async def kept(repository: Path, home: Path, what: str) -> list[int]:
    """The numbers of those that a home keeps a commit of there. Raises `GitError`."""
    listed = await git(repository, "for-each-ref", "--format=%(refname)", folder_of(home, what))
    return [int(name) for one in listed.split("\n") if (name := one.rpartition("/")[2]).isdecimal()]


async def let_go(repository: Path, home: Path, what: str, numbers: Collection[int]) -> None:
    """Keep these no longer. Raises `GitError`."""
    for number in numbers:
        await git(repository, "update-ref", "-d", ref_of(home, what, number))
