"""Putting a worktree back to where its job began, so that nothing of it is lost.

What is deleted is only what has been kept before: the files go into git's index, from there into a commit, and the
reset then removes what the index knows. A file that git could not take stays where it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.runner.git import GitError, git

logger = logging.getLogger(__name__)

PASSES = 2  #: the second finds what the first one's own rules had ignored
#: Who commits what an attempt left: git asks for a name, and nobody may have told it one.
_WHO = {
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

    async def __call__(self, *arguments: str) -> str:
        return await git(self.root, *arguments, env=self.env)

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

    No process of the job may be at work in it. Raises `GitError`.
    """
    run = _Repository(root, {**env, **_WHO, "GIT_OPTIONAL_LOCKS": "1"})
    await _calm(run)
    began = await run("rev-parse", "--verify", f"{base}^{{commit}}")
    for _ in range(PASSES):
        if not await _keep(run, branch, began, attempt):
            break
        await run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        await run("reset", "--hard", "--quiet", "--no-recurse-submodules", began)


async def _keep(run: _Repository, branch: str, began: str, attempt: int) -> bool:
    """Commit what is there on top of where it stood. False where nothing differs from the beginning."""
    with contextlib.suppress(GitError):  # what cannot be added stays as it is
        await run("add", "--all", "--ignore-errors", "--sparse")
    tree = await run("write-tree")
    stood = [await run.commit("HEAD"), await run.commit(f"refs/heads/{branch}")]
    changed = set(stood) != {began} or tree != await run("rev-parse", f"{began}^{{tree}}")
    if changed:
        ref = f"refs/{branch}/{attempt}"
        # An earlier pass, or one that a crash cut short, may have kept something under this name.
        parents = dict.fromkeys(one for one in (*stood, await run.commit(ref)) if one is not None)
        kept = await run("commit-tree", tree, *(f"-p{one}" for one in parents), "-m", _MESSAGE)
        await run("update-ref", ref, kept)
        logger.info("%s is set back; what was there is kept as %s", run.root, ref)
    return changed or await run.branch() != f"refs/heads/{branch}"


async def _calm(run: _Repository) -> None:
    """End what git was in the middle of: an attempt that was killed leaves its locks and half of a rebase behind."""
    own = Path(await run("rev-parse", "--absolute-git-dir"))
    for name in _LOCKS:
        (own / name).unlink(missing_ok=True)
    for verb in _UNFINISHED:
        with contextlib.suppress(GitError):  # there is none
            await run(verb, "--quit")
