"""Putting a worktree back to where its job began, so that nothing of it is lost.

What is deleted is only what has been kept before: the files go into git's index, from there into a commit, and the
reset then removes what the index knows. A file that git could not take stays where it is; where the reset would take it
all the same, because the beginning has something else in its place, nothing is set back at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RefusedError
from engine.runner.git import GitError, git
from engine.runner.hidden import add_all, index_of, split, unhide

logger = logging.getLogger(__name__)

PASSES = 2  #: the second finds what the first one's own rules had ignored
#: Who commits what an attempt left: git asks for a name, and nobody may have told it one.
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Headway"), ("EMAIL", "headway@localhost"))
}
_UNFINISHED = ("rebase", "am", "cherry-pick", "revert")  #: what an attempt may have been in the middle of
_LOCKS = ("index.lock", "HEAD.lock")
_MESSAGE = "What an attempt left in its workspace before it was set back"


@dataclass(frozen=True, slots=True)
class _Repository:
    """A worktree, and the environment of every git that works on it."""

    root: Path
    env: Mapping[str, str]

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> str:
        return await git(self.root, *arguments, env=self.env, stdin=stdin)

    async def commit(self, ref: str) -> str | None:
        """The commit that a ref names, if it is there."""
        try:
            return await self("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        except GitError:
            return None

    async def branch(self) -> str | None:
        """The branch that it stands on, if it does."""
        try:
            return await self("symbolic-ref", "--quiet", "HEAD")
        except GitError:
            return None


async def set_back(root: Path, branch: str, base: str, attempt: int, env: Mapping[str, str]) -> None:
    """Let a worktree stand on its branch at `base`, and keep what was there under a ref.

    No process of the job may be at work in it. Raises `GitError`, or `RefusedError` for what git cannot keep.
    """
    run = _Repository(root, {**env, **WHO, "GIT_OPTIONAL_LOCKS": "1"})
    await calm(root, run.env)
    await unhide(root, run.env)
    began = await run("rev-parse", "--verify", f"{base}^{{commit}}")
    for _ in range(PASSES):
        if not await _keep(run, branch, began, attempt):
            break
        await run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        await run("reset", "--hard", "--quiet", "--no-recurse-submodules", began)


async def _keep(run: _Repository, branch: str, began: str, attempt: int) -> bool:
    """Commit what is there on top of where it stood. False where nothing differs from the beginning."""
    await add_all(run.root, run.env)  # what cannot be added stays as it is
    gone = await _gone(run, began)
    if hidden := tuple(dict.fromkeys(filter(None, (_in_the_way(run.root, name) for name in gone)))):
        # Ignored by rules of the attempt, in the place of what the beginning has.
        with contextlib.suppress(GitError):
            await run(
                "add", "--force", "--ignore-errors", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul",
                stdin=b"".join(b":(top,literal)" + os.fsencode(name) + b"\0" for name in hidden),
            )  # fmt: skip
    stale = await _stale(run)
    await _refuse_what_would_be_lost(run, began, stale)
    tree = await run("write-tree")
    stood = [await run.commit("HEAD"), await run.commit(f"refs/heads/{branch}")]
    changed = bool(stale) or set(stood) != {began} or tree != await run("rev-parse", f"{began}^{{tree}}")
    if changed:
        ref = f"refs/{branch}/{attempt}"
        # An earlier pass, or one that a crash cut short, may have kept something under this name.
        parents = dict.fromkeys(one for one in (*stood, await run.commit(ref)) if one is not None)
        kept = await run("commit-tree", tree, *(f"-p{one}" for one in parents), "-m", _MESSAGE)
        await run("update-ref", ref, kept)
        logger.info("%s is set back; what was there is kept as %s", run.root, ref)
    return changed or await run.branch() != f"refs/heads/{branch}"


async def _gone(run: _Repository, began: str) -> list[str]:
    """What the beginning has and the index has not."""
    return split(await run("diff-index", "--cached", "--no-renames", "--diff-filter=D", "--name-only", "-z", began))


async def _stale(run: _Repository) -> list[str]:
    """What is in the worktree otherwise than in the index: git could not take it, or it is no kind of file it takes."""
    with contextlib.suppress(GitError):  # it says so that there are some
        await run("update-index", "-q", "--really-refresh")
    return split(await run("diff-files", "--ignore-submodules=dirty", "--name-only", "-z"))


async def _refuse_what_would_be_lost(run: _Repository, began: str, stale: list[str]) -> None:
    lost = [found for name in stale if (found := _in_the_way(run.root, name)) is not None]
    known = (await index_of(run.root, run.env)).names
    for name in await _gone(run, began):
        if (found := _in_the_way(run.root, name)) is not None:
            lost += [one for one in _files(run.root, found) if one not in known]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise RefusedError(
            f"{run.root} is not set back: git cannot keep {lost[0]}{more}; see to it there, then put the job back"
        )


def _in_the_way(root: Path, name: str) -> str | None:
    """What stands where a file of that name belongs, and is worth something: a file, a link, or a directory.

    It may be at the place itself or, where a parent of it is no directory any more, at that one's.
    """
    steps = Path(name).parts
    for depth in range(1, len(steps) + 1):
        place = root.joinpath(*steps[:depth])
        try:
            mode = place.lstat().st_mode
        except OSError:
            return None
        if depth < len(steps) and stat.S_ISDIR(mode):
            continue
        kept = stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)
        return str(place.relative_to(root)) if kept else None
    return None


def _files(root: Path, name: str) -> list[str]:
    """The file of a name, or those in the directory of that name."""
    place = root / name
    if place.is_symlink() or not place.is_dir():
        return [name]
    return [
        str((Path(directory) / one).relative_to(root))
        for directory, folders, names in os.walk(place)
        for one in (*names, *(folder for folder in folders if (Path(directory) / folder).is_symlink()))
    ]


async def calm(root: Path, env: Mapping[str, str] | None = None) -> None:
    """End what git was in the middle of: an attempt that was killed leaves its locks and half of a rebase behind."""
    run = _Repository(root, env or {})
    own = Path(await run("rev-parse", "--absolute-git-dir"))
    for name in _LOCKS:
        (own / name).unlink(missing_ok=True)
    for verb in _UNFINISHED:
        with contextlib.suppress(GitError):  # there is none
            await run(verb, "--quit")
