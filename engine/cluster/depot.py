"""The projects and workspaces of a node: a bare repository for each project, and what of the jobs lies beside it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from engine.cluster import parcel
from engine.cluster.wire import Parcel
from engine.runner.git import GitError, git
from engine.runner.run_dir import RunDir
from engine.runner.workspace import Placed

BASES = "refs/headway/bases/"  #: what each job began with, by its number
KEPT_BASES = 32  #: of a project: later jobs build on the newest, and the engine is told each of them
KEPT_SECONDS = 14 * 86_400  #: so long what is left of a job is kept whose end the engine could not tell
GC = ("-c", "gc.auto=6700", "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet")


class Depot:
    """One for a node's home. `locks`: one for each repository, as whoever works in a worktree of it takes it."""

    def __init__(self, home: Path, locks: Mapping[Path, asyncio.Lock]) -> None:
        self._home = home
        self._locks = locks

    def repository(self, project: str) -> Path:
        """Where a project's commits are. It may not be there yet."""
        digest = hashlib.sha256(project.encode(errors="surrogateescape")).hexdigest()[:16]
        return self._home / "repositories" / f"{digest}.git"

    async def has(self, project: str) -> list[str]:
        """Commits of a project that need not be sent."""
        repository = self.repository(project)
        if not repository.is_dir():
            return []
        listed = await git(repository, "for-each-ref", "--format=%(objectname)", "refs/headway/")
        return list(dict.fromkeys(listed.split()))

    async def lay(self, placed: Placed, run: RunDir, job: int, sent: Parcel) -> None:
        """Bring a workspace to what the engine has."""
        if not sent.git:
            await parcel.lay_files(placed.directory, sent)
            return
        repository, root = placed.repository, placed.root
        assert repository is not None and root is not None, "it is a git working tree"
        async with self._locks[repository]:
            if not repository.is_dir():
                await self._make(repository)
            await parcel.receive(repository, sent, run)
            await git(repository, "update-ref", f"{BASES}{job}", sent.tip)
            await self._forget_bases(repository)
            if not (root / ".git").is_file():
                shutil.rmtree(root, ignore_errors=True)
                branch = sent.branch if sent.branch != "HEAD" else f"headway/{job}"
                how = ("worktree", "add", "--force", "--quiet", "--no-checkout", "-B", branch)
                await git(repository, *how, str(root), sent.head)
        await parcel.lay(root, sent)
        placed.directory.mkdir(parents=True, exist_ok=True)

    @staticmethod
    async def _make(repository: Path) -> None:
        """Whole or not at all: it is looked into meanwhile, and whoever makes it may be killed."""
        repository.parent.mkdir(parents=True, exist_ok=True)
        fresh = repository.with_suffix(".coming")
        shutil.rmtree(fresh, ignore_errors=True)
        await git(repository.parent, "init", "--quiet", "--bare", str(fresh))
        await git(fresh, "config", "gc.auto", "0")  # no other git may meet it at work
        fresh.rename(repository)

    async def _forget_bases(self, repository: Path) -> None:
        found = await git(repository, "for-each-ref", f"--format=%(refname:lstrip={BASES.count('/')})", BASES)
        for number in sorted((int(one) for one in found.split() if one.isdecimal()), reverse=True)[KEPT_BASES:]:
            await parcel.forget(repository, f"{BASES}{number}")

    async def remove(self, placed: Placed, run: RunDir) -> None:
        """A job is over: nothing of it is wanted here any more."""
        if placed.root is not None and placed.repository is not None:
            async with self._locks[placed.repository]:
                with contextlib.suppress(GitError):
                    await git(placed.repository, "worktree", "remove", "--force", "--force", str(placed.root))
                if placed.branch is not None:
                    with contextlib.suppress(GitError):
                        await git(placed.repository, "branch", "--quiet", "-D", placed.branch)
                with contextlib.suppress(GitError):
                    await git(placed.repository, *GC)
        await asyncio.to_thread(shutil.rmtree, placed.root or placed.directory, ignore_errors=True)
        await asyncio.to_thread(shutil.rmtree, run.path.parent, ignore_errors=True)

    def sweep(self, live: Collection[int]) -> None:
        """Remove what has lain here for long and belongs to no job in `live`. Blocks."""
        before = time.time() - KEPT_SECONDS
        for folder in ("runs", "worktrees", "work"):
            for path in (self._home / folder).glob("*"):
                number = path.name.partition("-")[0]
                if number.isdecimal() and int(number) not in live and path.stat().st_mtime < before:
                    shutil.rmtree(path, ignore_errors=True)
