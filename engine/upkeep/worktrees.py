"""Which workspaces go into quarantine: those of jobs that ended long ago, and those of jobs that were pruned."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from engine.errors import HeadwayError
from engine.upkeep.prune import Gone
from engine.upkeep.quarantine import WORK, WORKTREES, Away, Leaving, retire, root_of
from engine.upkeep.runs import Turn

logger = logging.getLogger(__name__)

MOST = 1_000  #: moved in one round; the next one goes on
RUNS = "runs"

_NUMBERED = re.compile(r"(\d{1,18})(-.*)?")
_JOB = "SELECT state, title FROM jobs WHERE id = ? AND state IN ('succeeded', 'failed', 'cancelled') AND ended_at <= ?"
_WORKSPACES = "SELECT workspace, branch FROM attempts WHERE job = ? AND workspace IS NOT NULL ORDER BY number DESC"
_NEWEST = "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"
_IS_THERE = "SELECT 1 FROM jobs WHERE id = ?"


def old_worktrees(connection: sqlite3.Connection, home: Path, before: int) -> list[Leaving]:
    """Worktrees of jobs that ended before a time. One that no attempt of such a job worked in is somebody else's."""
    found: list[Leaving] = []
    for root, job in _numbered(home / WORKTREES):
        if len(found) == MOST:
            break
        ended = connection.execute(_JOB, (job, before)).fetchone()
        if ended is None:
            continue
        for workspace, branch in connection.execute(_WORKSPACES, (job,)):
            if root_of(home, workspace) == root:
                found.append(Leaving(root, job, ended[0], ended[1], branch))
                break
    return found


def has_ended(connection: sqlite3.Connection, job: int, before: int) -> bool:
    """Whether a job is still as ended as it was a moment ago: the operator may have put it back."""
    return connection.execute(_JOB, (job, before)).fetchone() is not None


def of_pruned(home: Path, gone: Iterable[Gone]) -> list[Leaving]:
    """Workspaces of jobs that have just been pruned."""
    found = []
    for one in gone:
        roots = {root: None for workspace in one.workspaces if (root := root_of(home, workspace)) is not None}
        found += [Leaving(root, one.job, f"{one.state} and pruned", one.title, one.branch) for root in roots]
    return found


def forgotten(connection: sqlite3.Connection, home: Path) -> list[Leaving]:
    """What a crash in the middle of a prune left behind: files of jobs that this database once had.

    Ids are never used again, so a number up to the newest that is no job's was pruned. What has a higher one belongs
    to a database that stood here before, and stays.
    """
    newest = connection.execute(_NEWEST).fetchone()
    found: list[Leaving] = []
    for kind in (RUNS, WORK, WORKTREES):
        for root, job in _numbered(home / kind):
            if len(found) == MOST:
                return found
            if newest and job <= newest[0] and connection.execute(_IS_THERE, (job,)).fetchone() is None:
                found.append(Leaving(root, job, "pruned"))
    return found


def _numbered(folder: Path) -> Iterator[tuple[Path, int]]:
    """The directories in a folder of the home that are named after a job."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for entry in folder.iterdir():
        named = _NUMBERED.fullmatch(entry.name)
        if named and ".aside-" not in entry.name and entry.is_dir() and not entry.is_symlink():
            yield entry, int(named[1])


async def retire_each(
    away: Away, found: Iterable[Leaving], turn: Turn, still: Callable[[Leaving], bool] = lambda leaving: True
) -> tuple[int, int]:
    """Put them away. Returns how many were moved to the quarantine, and how many removed at once.

    `still` is asked right before each: the operator may have put its job back meanwhile.
    """
    moved = removed = 0
    for leaving in found:
        if turn.over():
            break
        try:
            if not still(leaving):
                continue
            if await retire(away, leaving):
                removed += 1
            else:
                moved += 1
        except (OSError, HeadwayError) as error:
            logger.warning("J%d: %s stays where it is: %s", leaving.job, leaving.root, error)
    return moved, removed
