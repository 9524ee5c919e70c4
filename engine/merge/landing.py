"""A branch, moved to a commit that comes after it; nothing else ever happens to it here.

Where it is checked out the user's files go along with it, by git's own `merge --ff-only` and only in a clean working
tree; else it is one write of a ref, which fails where the branch is not where it was thought to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RefusedError, UsageError
from engine.runner import spawn
from engine.runner.git import GitError, git, tried
from engine.runner.hidden import NUL
from engine.runner.tree import Tree

LEFT_SECONDS = 300.0  #: what is given to a git that an engine before this one has started
SAID_CHARS = 600  #: of what git says against it
#: Files of a worktree's own git directory that name a branch which it will write at the end of a rebase.
_BUSY = ("rebase-merge/head-name", "rebase-apply/head-name")


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of a repository."""

    repository: Path
    """Any directory of it: a checkout, or the git directory."""
    name: str

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.name}"

    async def tip(self) -> str:
        """The commit that it is at. Raises `RefusedError` where it is not there."""
        try:
            return await git(self.repository, "rev-parse", "--verify", "--quiet", f"{self.ref}^{{commit}}")
        except GitError:
            raise RefusedError(f"{self.repository} has no branch {self.name!r} with a commit") from None

    async def has(self, commit: str) -> bool:
        """Whether a commit is on it."""
        return (await tried(self.repository, "merge-base", "--is-ancestor", commit, self.ref)).code == 0

    async def checkouts(self) -> list[Path]:
        """Where it is checked out."""
        found, at = [], Path()
        for line in (await git(self.repository, "worktree", "list", "--porcelain", "-z")).split(NUL):
            word, _, rest = line.partition(" ")
            if word == "worktree":
                at = Path(rest)
            elif (word, rest) == ("branch", self.ref):
                found.append(at)
        return found


async def standing_on(checkout: Path) -> str:
    """The name of the branch that a checkout is on. Raises `UsageError` where it is on none."""
    try:
        return (await git(checkout, "symbolic-ref", "--quiet", "--short", "HEAD")).strip()
    except GitError:
        raise UsageError(
            f"{checkout} is on no branch: name one with --into, or with projects: NAME: branch: in headway.yaml"
        ) from None


async def common_dir(checkout: Path) -> Path:
    """The git directory that all worktrees of a repository share."""
    return Path(await git(checkout, "rev-parse", "--path-format=absolute", "--git-common-dir")).resolve()


async def not_ready(branch: Branch) -> str:
    """Why a branch cannot be moved now, in words that say what to do; nothing where it can."""
    common = await common_dir(branch.repository)
    for own in (common, *(common / "worktrees").glob("*")):
        for name in _BUSY:
            if _text(own / name) == branch.ref:
                return f"{branch.name} is being rebased: finish that first (`git rebase --continue`), then retry"
    for checkout in await branch.checkouts():
        status = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
        if changed := await git(checkout, *status):
            what = changed.splitlines()[0].strip()
            there = f"{checkout} has {branch.name} checked out with uncommitted changes ({what})"
            return f"{there}: commit or stash them, then retry"
    return ""


async def move(branch: Branch, onto: str, commit: str, env: Mapping[str, str]) -> None:
    """Move a branch from `onto` to a commit on top of it. Raises `GitError` where that is refused."""
    checkouts = await branch.checkouts()
    if not checkouts:
        await git(branch.repository, "update-ref", "-m", "headway merge", branch.ref, commit, onto, env=env)
        return
    first, *others = checkouts
    if others:
        twice = f"{branch.name} is checked out in {first} and in {others[0]}"
        raise GitError(f"{twice}: leave it in one of them, then retry")
    if await git(first, "rev-parse", "HEAD") != onto:
        raise GitError(f"{branch.name} has moved")
    # It locks the index of the user's files, and a status that somebody asks for may do so at the same time.
    merge = ("merge", "--ff-only", "--quiet", "--no-autostash", commit)
    done = await tried(first, *merge, env={**env, "GIT_OPTIONAL_LOCKS": "1"})
    if done.code != 0:
        said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit {done.code}"
        raise GitError(f"git merge --ff-only in {first}: {said.removeprefix('error: ')[:SAID_CHARS]}")


async def finish_left(marker: str) -> None:
    """Let a git that an engine before this one started come to its end: it may be at work on the user's files."""
    left = Tree(None, marker, None).members()
    if left and not await spawn.all_ended(sorted(left), LEFT_SECONDS):
        raise GitError(f"a git of an earlier engine is still at work: {', '.join(map(str, sorted(left)))}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
