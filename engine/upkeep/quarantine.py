"""Workspaces of ended jobs, put away for a while before they are removed for good.

`quarantine/<date>-<name>/` holds the workspace as it was, and `about.txt`: whose it was and how to bring it back. Only
what lies directly below the home's own `worktrees` and `work` is ever moved, and only what has such a file is removed,
or a box with nothing else in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.errors import HeadwayError, RefusedError
from engine.runner.git import GitError, git
from engine.runner.untouched import work_in
from engine.upkeep.files import remove_tree, sync_directory, written_whole
from engine.upkeep.runs import Turn

logger = logging.getLogger(__name__)

FOLDER = "quarantine"
ABOUT = "about.txt"
WORKTREES, WORK = "worktrees", "work"  #: of a home: of jobs with a project in git, and of those without a project
DAY = timedelta(days=1)
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})-.+")

Locks = Mapping[Path, asyncio.Lock]
"""One for each repository: git locks it for a moment at each change of its worktrees, and fails instead of waiting."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a job that has ended left in the home."""

    root: Path
    job: int
    state: str
    title: str = ""
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Away:
    """Where things are put away, and for how long."""

    home: Path
    now: int
    keep_ms: int
    locks: Locks


def root_of(home: Path, workspace: str) -> Path | None:
    """The directory to move for an attempt's workspace: the one directly below `worktrees` or `work`.

    None for one that is not there, not the home's own, or a link to somewhere else.
    """
    place = Path(workspace)
    for kind in (WORKTREES, WORK):
        folder = home / kind
        if folder in place.parents:
            root = folder / place.relative_to(folder).parts[0]
            return root if root.is_dir() and not root.is_symlink() and not folder.is_symlink() else None
    return None


async def retire(away: Away, leaving: Leaving) -> bool:
    """Put a workspace away; True where it was removed at once, as nothing in it could be missed.

    Raises `HeadwayError` or `OSError` where it cannot be moved; then it stands where it stood.
    """
    common = await _repository(leaving.root)
    if common is None:
        if not any(leaving.root.iterdir()):
            leaving.root.rmdir()
            return True
        await asyncio.to_thread(_move, away, leaving, None)
        return False
    async with away.locks[_key(common)]:
        await _refuse_locked(leaving.root)
        if await _is_taken_over(leaving.root, common) and await _removed(leaving, common):
            return True
        moved = await asyncio.to_thread(_move, away, leaving, common)
        await _reconnect(moved)
    return False


async def _refuse_locked(root: Path) -> None:
    """A lock says that somebody wants a worktree where it is. One that git itself made while it filled it does not."""
    own = Path(await git(root, "rev-parse", "--absolute-git-dir"))
    try:
        why = (own / "locked").read_text(errors="replace").strip()
    except FileNotFoundError:
        return
    if why != "initializing":
        raise RefusedError(f"it is locked{f' ({why})' if why else ''}: `git worktree unlock {root}` lets it go")


async def _removed(leaving: Leaving, common: Path) -> bool:
    """Remove a worktree and its branch. False where git, which looks once more itself, will not."""
    try:
        await git(common, "worktree", "remove", str(leaving.root))  # no --force
    except GitError as error:
        logger.info("%s is put away instead of removed: %s", leaving.root, error)
        return False
    if leaving.branch is not None:
        with contextlib.suppress(GitError):
            await git(common, "branch", "--quiet", "-d", leaving.branch)
    return True


async def _repository(root: Path) -> Path | None:
    """The git directory that a worktree belongs to; None for any other directory, or where it is gone."""
    if not (root / ".git").is_file():
        return None
    try:
        common = Path(await git(root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
        top = Path(await git(root, "rev-parse", "--show-toplevel"))
    except GitError:
        return None
    return common if top == root.resolve() else None


def _key(common: Path) -> Path:
    """The repository of a git directory, as the runner calls it: its own checkout, where it has one."""
    return common.parent if common.name == ".git" else common


async def _is_taken_over(root: Path, common: Path) -> bool:
    """Whether a worktree holds nothing of its own: no file that git does not have, no commit that is not merged."""
    try:
        if await work_in(root):
            return False
        head = await git(root, "rev-parse", "HEAD")
        await git(common, "merge-base", "--is-ancestor", head, "HEAD")
    except GitError:
        return False
    return True


def _move(away: Away, leaving: Leaving, common: Path | None) -> Path:
    at = datetime.fromtimestamp(away.now / 1000, UTC)
    folder = away.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    kind, name = leaving.root.parent.name, leaving.root.name
    name = name if kind == WORKTREES else f"{kind}-{name}"
    box, number = folder / f"{at:%Y-%m-%d}-{name}", 1
    while box.exists():
        number += 1
        box = folder / f"{at:%Y-%m-%d}-{name}-{number}"
    box.mkdir(mode=0o700)
    moved = box / leaving.root.name
    try:
        with written_whole(box / ABOUT) as file:
            file.write(_about(leaving, moved, common, at, away.keep_ms).encode())
        leaving.root.rename(moved)
    except OSError:
        remove_tree(box)
        raise
    for changed in (box, folder, leaving.root.parent):
        sync_directory(changed)
    return moved


def _about(leaving: Leaving, moved: Path, common: Path | None, at: datetime, keep_ms: int) -> str:
    back = f"mv {shlex.quote(str(moved))} {shlex.quote(str(leaving.root))}"
    title = f" ({' '.join(leaving.title.split())})" if leaving.title else ""
    lines = [
        f"It belongs to job {leaving.job}{title}, which is {leaving.state}, and it was {leaving.root}.",
        f"Headway moved it here at {at:%Y-%m-%dT%H:%M:%SZ}, and removes it after {_kept_until(at, keep_ms)}.",
    ]
    if common is not None:
        back += f" && git -C {shlex.quote(str(leaving.root))} worktree repair"
        lines.append(f"It is a worktree of {common}, on the branch {leaving.branch or '(none)'}, which stays there.")
    return "\n".join([*lines, "", "To bring it back:", f"  {back}", ""])


def _kept_until(at: datetime, keep_ms: int) -> str:
    try:
        return f"{at + timedelta(milliseconds=keep_ms):%Y-%m-%d}"
    except OverflowError:
        return "9999-12-31"


async def _reconnect(moved: Path) -> None:
    """Tell the repository where its worktree is now. Until it knows, it takes the worktree for lost."""
    try:
        await git(moved, "worktree", "repair")
    except GitError as error:
        logger.warning("%s: its repository does not know where it is: %s", moved, error)


def boxes(home: Path) -> list[tuple[Path, datetime]]:
    """What is in quarantine, and the day on which it was put there. Whatever else lies there is not looked at."""
    folder = home / FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return []
    found = []
    for box in sorted(folder.iterdir()):
        dated = _DATED.fullmatch(box.name)
        if dated and box.is_dir() and not box.is_symlink() and (box / ABOUT).is_file():
            with contextlib.suppress(ValueError):
                found.append((box, datetime.strptime(dated[1], "%Y-%m-%d").replace(tzinfo=UTC)))
    return found


def _remove_empty(away: Away) -> int:
    """Remove boxes that hold no workspace: a crash came between them and it. Those of the last days may just be filled.

    Nothing else than the note is ever removed, so that a workspace which comes at this moment stays.
    """
    folder = away.home / FOLDER
    removed = 0
    if not folder.is_dir() or folder.is_symlink():
        return removed
    yesterday = f"{datetime.fromtimestamp(away.now / 1000, UTC) - DAY:%Y-%m-%d}"
    for box in sorted(folder.iterdir()):
        dated = _DATED.fullmatch(box.name)
        if dated is None or dated[1] >= yesterday or box.is_symlink() or not box.is_dir():
            continue
        inside = list(box.iterdir())
        if all(map(_is_note, inside)):
            with contextlib.suppress(OSError):
                for note in inside:
                    note.unlink()
                box.rmdir()
                removed += 1
    return removed


def _is_note(inside: Path) -> bool:
    """What stands in a box beside the workspace: the note, or the draft of it."""
    return inside.name == ABOUT or inside.name.startswith(f".{ABOUT}.")


async def expire(away: Away, turn: Turn) -> int:
    """Remove what has been in quarantine for so long. Returns how many."""
    removed = _remove_empty(away)
    for box, since in boxes(away.home):
        if turn.over():
            break
        # Only the day is known, so it is kept to the end of that one.
        if (since + DAY).timestamp() * 1000 + away.keep_ms > away.now:
            continue
        try:
            await _remove(box, away)
            removed += 1
        except (OSError, HeadwayError) as error:
            logger.warning("%s cannot be removed: %s", box, error)
    return removed


async def _remove(box: Path, away: Away) -> None:
    for inside in box.iterdir():
        if inside.name == ABOUT:
            continue
        if inside.is_symlink() or not inside.is_dir():
            inside.unlink()
            continue
        common = await _repository(inside)
        if common is not None:
            async with away.locks[_key(common)]:
                await _refuse_locked(inside)
                with contextlib.suppress(GitError):  # what git leaves is removed below
                    await git(common, "worktree", "remove", "--force", "--force", str(inside))
        await asyncio.to_thread(remove_tree, inside)
    os.unlink(box / ABOUT)  # noqa: PTH108 - last: without it the rest would stay for ever
    box.rmdir()


async def reconnect_all(home: Path) -> None:
    """Finish what a crash left between a move and its repair."""
    for box, _ in boxes(home):
        for inside in box.iterdir():
            if inside.is_dir() and not inside.is_symlink() and await asyncio.to_thread(_is_unknown, inside):
                await _reconnect(inside)


def _is_unknown(root: Path) -> bool:
    """Whether the repository still looks for a worktree where it was before."""
    try:
        pointer = (root / ".git").read_text().removeprefix("gitdir:").strip()
        return Path((Path(pointer) / "gitdir").read_text().strip()) != root / ".git"
    except (OSError, UnicodeDecodeError):
        return False
