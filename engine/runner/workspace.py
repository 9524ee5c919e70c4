"""Where an attempt works, and what it changed there.

A git project gets a worktree for each job, on a branch `headway/<id>-<slug>`; a plain directory, or a git project
that asks for it, is used as it is; a job without a project gets a directory of its own. The diff is taken between two
trees, so that untracked files count and nobody's index is touched. A workspace with uncommitted work is never removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RefusedError
from engine.model import DiffStat, Workspace
from engine.runner import snapshot
from engine.runner.git import GitError, git
from engine.runner.roots import stays_inside
from engine.runner.run_dir import RunDir
from engine.runner.set_back import set_back
from engine.runner.snapshot import Looked
from engine.runner.tree import MARKER
from engine.runner.untouched import work_in

_COMMON = ("--path-format=absolute", "--git-common-dir")
#: Working trees that git reads at one time: each keeps a core busy, and many jobs may end together.
MEASURED_AT_ONCE = 8
OURS = "headway/"  #: what the names of the jobs' branches begin with
WORKERS = "workers"  #: below the home: the directories of persistent workers
SLUG_LENGTH = 32  #: characters of a title in a branch's name


@dataclass(frozen=True, slots=True)
class Placed:
    """A workspace, ready to work in."""

    directory: Path
    """The agent's working directory: in a worktree, the same place below its root as the project is in its own."""
    root: Path | None = None
    """The top of the git working tree; None outside git."""
    repository: Path | None = None
    """The project's own checkout, where `root` is a worktree made from it."""
    branch: str | None = None
    base: str | None = None
    """The commit or tree that the diff is taken against."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The workspace that an attempt asks for. `base` and `branch` are an earlier attempt's, kept for its retries.

    `first`: no attempt of this job has been before, so what is there already is another database's job of that number.
    """

    job: int
    title: str
    project: str | None
    workspace: Workspace = Workspace.WORKTREE
    base: str | None = None
    branch: str | None = None
    marker: str = ""
    """In the environment of what makes the workspace."""
    first: bool = False
    start: str | None = None
    """What a new worktree begins at; None is HEAD."""
    worker: str | None = None
    """The persistent worker whose directory it is; `branch` is then the worker's."""


def slug(title: str) -> str:
    """A title as part of a branch's and a directory's name."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return words[:SLUG_LENGTH].rstrip("-") or "job"


class Workspaces:
    """Makes, measures and tidies the workspaces of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # Git locks a repository for a moment at each change of its worktrees, and fails instead of waiting.
        self.locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._measuring = asyncio.Semaphore(MEASURED_AT_ONCE)

    async def prepare(self, wanted: Wanted, run: RunDir) -> Placed:
        """The job's workspace, made if it is not there yet.

        Raises `RefusedError` or `GitError` with what to do.
        """
        if wanted.worker is not None:
            return await self._of_worker(wanted, wanted.worker, run)
        if wanted.project is None:
            directory = self.home / "work" / str(wanted.job)
            if wanted.first and directory.is_dir() and any(directory.iterdir()):
                _move_aside(directory)
            directory.mkdir(parents=True, exist_ok=True)
            return Placed(directory)
        directory = Path(wanted.project)
        if not directory.is_dir():
            raise RefusedError(f"the project {directory} is not a directory any more")
        top = await top_of(directory)
        if top is None:
            return Placed(directory)
        if wanted.workspace is Workspace.PROJECT:
            async with self._measuring:
                return Placed(directory, root=top, base=(await snapshot.take(top, run))[0])
        return await self._worktree(wanted, top, directory.resolve().relative_to(top))

    async def foreseen(self, wanted: Wanted) -> Placed:
        """About the workspace that `prepare` would make: what is in it now. Makes nothing."""
        if wanted.worker is not None and wanted.project is None:
            return Placed(self.home / WORKERS / wanted.worker / "work")
        if wanted.project is None:
            return Placed(self.home / "work" / str(wanted.job))
        directory = Path(wanted.project)
        top = await top_of(directory) if directory.is_dir() else None
        if top is None or wanted.workspace is Workspace.PROJECT:
            return Placed(directory, root=top)
        return Placed(directory, root=top, repository=top)

    async def _of_worker(self, wanted: Wanted, name: str, run: RunDir) -> Placed:
        """The directory that a worker keeps. What it changes is told from the moment at which the job began.

        Nobody tidies it or sets it back: `repository` is not told of it.
        """
        own = self.home / WORKERS / name
        if wanted.project is None:
            directory = own / "work"
            directory.mkdir(parents=True, exist_ok=True)
            return Placed(directory)
        project = Path(wanted.project)
        if not project.is_dir():
            raise RefusedError(f"the project {project} is not a directory any more")
        top = await top_of(project)
        if top is None:
            return Placed(project)
        root = own / "tree"
        async with self.locks[top]:
            branch = wanted.branch
            if branch is None or not await _is_worktree(root, top):
                branch = await self._free_branch(top, branch or f"{OURS}worker-{slug(name)}", again=branch is not None)
                _move_aside(root)
                await self._add_worktree(wanted, top, root, branch)
        directory = _below(root, project.resolve().relative_to(top))
        async with self._measuring:
            base = wanted.base or (await snapshot.take(root, run))[0]
        return Placed(directory, root=root, branch=branch, base=base)

    async def _free_branch(self, top: Path, branch: str, *, again: bool) -> str:
        """A name that is not taken; the worker's own one where its worktree was lost and the branch was not."""
        number, free = 1, branch
        while not again and await _has_branch(top, free):
            number += 1
            free = f"{branch}-{number}"
        return free

    async def _worktree(self, wanted: Wanted, top: Path, below: Path) -> Placed:
        async with self.locks[top]:
            root, branch, exists = await self._choose(wanted, top)
            begun = None if exists else await self._add_worktree(wanted, top, root, branch)
        base = begun or wanted.base or await git(root, "rev-parse", "HEAD")
        directory = _below(root, below)
        return Placed(directory, root=root, repository=top, branch=branch, base=base)

    async def _choose(self, wanted: Wanted, top: Path) -> tuple[Path, str, bool]:
        """The worktree's directory and branch, and whether it is there already.

        Every home counts its jobs from 1, and so does one whose database was put back: a branch or a worktree of that
        name is not ours to go on from, unless an earlier attempt of this job worked there. The job's title may have
        been another one then.
        """
        worktrees = self.home / "worktrees"
        if wanted.branch is not None and (root := worktrees / wanted.branch.removeprefix(OURS)).parent == worktrees:
            if await _is_worktree(root, top):
                return root, wanted.branch, True
            if await _has_branch(top, wanted.branch):
                _move_aside(root)
                return root, wanted.branch, False
        name = f"{wanted.job}-{slug(wanted.title)}"
        number = 1
        while True:
            named = name if number == 1 else f"{name}-{number}"
            branch, root = f"{OURS}{named}", worktrees / named
            if await _is_worktree(root, top):
                if not wanted.first:
                    return root, branch, True
            elif not await _has_branch(top, branch):
                _move_aside(root)
                return root, branch, False
            number += 1

    async def _add_worktree(self, wanted: Wanted, top: Path, root: Path, branch: str) -> str | None:
        """Make the worktree; the commit that its new branch begins at, or None where the branch was there already.

        With --force, because git may still know the directory from before it was deleted. A `worktree prune` would do
        as well, and also forget worktrees of the user's that are only away for the moment.
        """
        try:
            head = await git(top, "rev-parse", "--verify", f"{wanted.start or 'HEAD'}^{{commit}}")
        except GitError:
            if wanted.start is not None:
                raise RefusedError(f"{top} has no commit {wanted.start}, which the job is to begin at") from None
            raise RefusedError(
                f"{top} has no commit yet: commit once, or submit with --in-place to work in it directly"
            ) from None
        env = {MARKER: wanted.marker}  # if the engine dies meanwhile, the next one finds and ends it
        if await _has_branch(top, branch):
            await git(top, "worktree", "add", "--force", "--quiet", str(root), branch, env=env)
            return None
        await git(top, "worktree", "add", "--force", "--quiet", "-b", branch, str(root), head, env=env)
        return head

    async def measure(self, placed: Placed, run: RunDir) -> DiffStat | None:
        """Write what changed since the base into the run's `diff.patch`. None outside git."""
        looked = await self.look(placed, run)
        return looked.diff if looked is not None else None

    async def look(self, placed: Placed, run: RunDir) -> Looked | None:
        """The same, with the tree that stands there now."""
        if placed.root is None or placed.base is None:
            return None
        async with self._measuring:
            return await snapshot.measure(placed.root, placed.base, run)

    async def set_back(self, placed: Placed, attempt: int, marker: str) -> None:
        """Put a job's worktree back to what the job began from.

        What the attempt with that number left in it, its commits included, stays as `refs/headway/1-fix-it/<attempt>`,
        named as the branch is. Ignored files stay where they are. Raises `RefusedError` for any other place than a
        worktree of this home.
        """
        root, base, branch = placed.root, placed.base, placed.branch
        if placed.repository is None or root is None or base is None or branch is None:
            raise RefusedError(f"{placed.directory} is no worktree of the job's own, and is not set back")
        if not root.is_relative_to(self.home / "worktrees"):
            raise RefusedError(f"{root} is not a worktree of this home, and is not set back")
        async with self.locks[placed.repository], self._measuring:
            await set_back(root, branch, base, attempt, {MARKER: marker})
        _below(root, placed.directory.relative_to(root))

    async def tidy(self, placed: Placed) -> bool:
        """Remove a worktree in which nothing was done; True where it was removed.

        Everything that could be somebody's work keeps it: a changed, untracked, ignored or hidden file, or a commit.
        """
        if placed.repository is None or placed.root is None or placed.branch is None:
            return False
        async with self.locks[placed.repository], self._measuring:
            there = placed.root.exists()  # an engine that was killed may have come so far
            if there and (await git(placed.root, "rev-parse", "HEAD") != placed.base or await work_in(placed.root)):
                return False
            if not there and not await _has_branch(placed.repository, placed.branch):
                return True
            if await git(placed.repository, "rev-parse", f"refs/heads/{placed.branch}") != placed.base:
                return False
            # No --force: git looks once more itself, and refuses where something has appeared meanwhile.
            if there:
                await git(placed.repository, "worktree", "remove", str(placed.root))
            # Nor -D: a branch that git finds unmerged stays.
            with contextlib.suppress(GitError):
                await git(placed.repository, "branch", "--quiet", "-d", placed.branch)
        return True


async def top_of(directory: Path) -> Path | None:
    """The root of the git working tree that a directory is in, or None outside git.

    Raises `GitError` where git will not read the repository: to work in its checkout as in a plain directory would
    put the agent's changes among the user's own.
    """
    try:
        return Path(await git(directory, "rev-parse", "--show-toplevel"))
    except GitError:
        if await _is_bare(directory):
            raise RefusedError(f"{directory} is a bare repository; name a checkout of it") from None
        if any((one / ".git").exists() for one in (directory.resolve(), *directory.resolve().parents)):
            raise
        return None


async def _is_bare(directory: Path) -> bool:
    try:
        return await git(directory, "rev-parse", "--is-bare-repository") == "true"
    except GitError:
        return False


async def _has_branch(top: Path, branch: str) -> bool:
    try:
        await git(top, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    except GitError:
        return False
    return True


async def _is_worktree(root: Path, top: Path) -> bool:
    """Whether a directory is a whole worktree of this repository.

    While git fills a new one it keeps it locked, and writes its index last: one that a crash left halfway is not whole.
    """
    if not (root / ".git").is_file():
        return False
    try:
        own, common = (await git(root, "rev-parse", "--absolute-git-dir", *_COMMON)).split("\n")
        gitdir = Path(own)
        if (gitdir / "locked").exists() or not (gitdir / "index").exists():
            return False
        return common == await git(top, "rev-parse", *_COMMON)
    except (GitError, ValueError):
        return False


def _below(root: Path, below: Path) -> Path:
    """The project's place in a worktree. Raises `RefusedError` where an attempt has put a link there, out of it."""
    directory = root / below
    stays_inside(directory, root)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _move_aside(root: Path) -> None:
    """Make room for a worktree without deleting what a crash or a person left in its place."""
    if not root.exists():
        return
    number = 1
    while (aside := root.with_name(f"{root.name}.aside-{number}")).exists():
        number += 1
    root.rename(aside)
