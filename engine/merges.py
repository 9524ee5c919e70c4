"""The merge queue: the work of jobs comes to the branch of its project one after the other, each checked before.

How far each is stands in the database alone; `engine.merge.turn` has the steps. Repositories do not wait for
each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import structs

from engine import events as log
from engine.config import ProjectSettings, Settings
from engine.documents import nearest
from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError, UsageError
from engine.hub import Hub
from engine.merge import change, keeping, landing
from engine.merge.landing import Branch
from engine.merge.turn import Turn, clash
from engine.model import (
    MERGE_ENDED,
    Merge,
    MergeForeseen,
    MergeQueued,
    MergeWanted,
    State,
)
from engine.redact import Secrets
from engine.runner.cells import Cells
from engine.runner.git import GitError, git
from engine.runner.workspace import top_of
from engine.store import Store, Transaction, actions, merge_undo, merges
from engine.store.actions import Inverse
from engine.store.merges import New, Stood
from engine.store.rows import AttemptRow, JobRow
from engine.store.writer import RollbackError
from engine.units import milliseconds

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0  #: after a step could not be taken, such as on a full disk

#: After these there may be something to do in a queue.
_MOVES = (
    log.MergeEntered, log.MergeMoved, log.Succeeded, log.Failed, log.Cancelled, log.Released,
)  # fmt: skip


class Merges:
    """One for an engine. `wake` tells the dispatcher of jobs that were put back."""

    def __init__(
        self,
        home: Path,
        store: Store,
        hub: Hub,
        settings: Settings,
        secrets: Secrets,
        wake: Callable[[], None],
    ) -> None:
        self._home = home
        self._store = store
        self._hub = hub
        self._settings = settings
        self._wake = wake
        self._turn = Turn(home, store, settings, secrets, Cells(home, settings))
        self._called = asyncio.Event()
        self._at_work: dict[str, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Something is being checked or landed."""
        return bool(self._at_work)

    # ---- what the operator asks

    async def queue(self, wanted: MergeWanted, by: str) -> MergeQueued:
        """Queue the work of jobs, in their order, all or none. A dry run says what would become of each now.

        Raises `NotFoundError`, `UsageError`, and `RefusedError` for a job that has nothing that could be merged.
        """
        new = [await self._new(job, wanted) for job in dict.fromkeys(wanted.jobs)]
        if wanted.dry_run:
            return MergeQueued(foreseen=await self._foresee(new))

        def add(tx: Transaction) -> MergeQueued:
            added = [self.add(tx, one, by) for one in new]
            stood = [Stood(one.id, one.state) for one in added]
            action = actions.note(tx, "merge", by, [one.job for one in new], Inverse(merges=stood))
            return MergeQueued(merges=added, action=action)

        return await self._store.write(add)

    @staticmethod
    def add(tx: Transaction, new: New, by: str) -> Merge:
        """Queue one. Raises `RefusedError` where its job is in the queue for that branch already."""
        for there in merges.of_job(tx, new.job):
            if (there.repository, there.target) == (new.repository, new.target):
                raise RefusedError(f"J{new.job} is in the queue for {new.target} already: merge {there.id}")
        return merges.add(tx, new, by)

    async def new(self, job: int, into: str | None, checks: list[str] | None, check_ms: int | None) -> New:
        """A job's work as it would be queued, raising as `queue` does."""
        row, tried = await self._job(job)
        if row.state is not State.SUCCEEDED:
            raise RefusedError(f"J{job} is {row.state}: only what went well is merged")
        if tried is None or tried.branch is None or row.project is None:
            raise RefusedError(f"J{job} has no branch of its own: it worked in its project directly, or outside git")
        checkout = await top_of(Path(row.project))
        if checkout is None:
            raise RefusedError(f"{row.project} is no git repository any more")
        project = self._project(row.project)
        target = into or project.branch or await landing.standing_on(checkout)
        await _check_branch(checkout, target)
        if check_ms is None:
            check_ms = milliseconds(project.merge.timeout)
        checks = project.merge.checks if checks is None else checks
        repository = await landing.common_dir(checkout)
        await self._turn.source(job, row.title, checkout, tried)
        return New(job, row.title, str(checkout), str(repository), target, checks, check_ms)

    async def _new(self, job: int, wanted: MergeWanted) -> New:
        span = None
        try:
            if wanted.check_timeout is not None:
                span = milliseconds(wanted.check_timeout)
        except ValueError as error:
            raise UsageError(f"check_timeout: {error}") from None
        if span == 0:
            raise UsageError("check_timeout: it is 0, so that nothing could run")
        return await self.new(job, wanted.into, wanted.checks, span)

    async def merge(self, number: int) -> Merge:
        """Raises `NotFoundError`."""
        found = await self._store.look(lambda tx: merges.one(tx, number))
        if found is None:
            raise NotFoundError(f"there is no merge {number}; `headway merges` lists them")
        return found

    async def listed(self, newest: int) -> list[Merge]:
        """All that wait, and so many of the newest."""
        return await self._store.look(lambda tx: merges.listed(tx, newest))

    async def drop(self, number: int, by: str, *, dry_run: bool) -> Merge:
        """Take one out of the queue. Raises `NotFoundError`, and `RefusedError` for one that has come to its end."""
        if (await self.merge(number)).state in MERGE_ENDED:
            raise RefusedError(f"merge {number} is {(await self.merge(number)).state} already")

        def take_out(tx: Transaction) -> Merge:
            dropped, stood = merge_undo.drop(tx, number, by)
            actions.note(tx, "merge drop", by, [dropped.job], Inverse(merges=[stood]))
            if dry_run:
                raise RollbackError(dropped)
            return dropped

        return await self._store.write(take_out)

    def look(self) -> None:
        """Something about the queue has changed."""
        self._called.set()

    async def waits(self) -> bool:
        """Whether there is something to do in it."""
        return await self._store.read.held_all() is None and bool(await self._store.look(merges.repositories))

    def notes(self, tx: Transaction, row: JobRow) -> list[str]:
        """What is to be said of a job's way to its branch."""
        held = tx.connection.execute("SELECT by FROM holds WHERE scope = 'all'").fetchone()
        more = f"; nothing is merged while everything is held by {held[0]}" if held else ""
        return [_note(one) + more for one in merges.of_job(tx, row.id)]

    async def _job(self, job: int) -> tuple[JobRow, AttemptRow | None]:
        rows = await self._store.read.rows([job])
        if not rows:
            raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
        tried = [one for one in await self._store.read.attempts(job) if one.workspace is not None]
        return rows[0], tried[-1] if tried else None

    def _project(self, directory: str) -> ProjectSettings:
        found = (one for one in self._settings.projects.values() if one.directory == directory)
        return next(found, ProjectSettings(path=directory))

    # ---- what would become of them

    async def _foresee(self, new: list[New]) -> list[MergeForeseen]:
        """Play the queues through, those that are in them first. Only objects are made that nothing refers to."""
        tips: dict[tuple[str, str], str] = {}
        told = []
        for one in new:
            branch = Branch(Path(one.project), one.target)
            place = (one.repository, one.target)
            if place not in tips:
                tips[place] = await branch.tip()
                for there in await self._store.look(partial(_in_line, new=one)):
                    tips[place] = (await self._played(there.job, there.title, branch, tips[place]))[0]
            tips[place], foreseen = await self._played(one.job, one.title, branch, tips[place])
            told.append(foreseen)
        return told

    async def _played(self, job: int, title: str, branch: Branch, tip: str) -> tuple[str, MergeForeseen]:
        """Where the branch would be after one of them, and what is to be said of it."""
        foreseen = MergeForeseen(job=job, target=branch.name)
        try:
            _, tried = await self._job(job)
            source = await self._turn.source(job, title, branch.repository, tried)
            merged = await change.put_on(branch.repository, tip, source)
            if merged.conflicts:
                why = clash(merged.conflicts)
                sides = [self._turn.named(one, tip, branch.name, source, job) for one in merged.conflicts]
                return tip, structs.replace(foreseen, conflicts=sides, why=why)
            files = await change.files_between(branch.repository, tip, merged.tree)
            if not files:
                return tip, structs.replace(foreseen, why=f"there is nothing to merge: {branch.name} has all of it")
            after = await change.commit(branch.repository, merged.tree, (tip,), title)
        except HeadwayError as error:
            return tip, structs.replace(foreseen, why=error.message)
        return after, structs.replace(foreseen, files=len(files))

    # ---- bringing them on

    async def run(self) -> None:
        """Until cancelled. Each repository has a task of its own for as long as there is something to do in it."""
        forget = self._hub.heed(_MOVES, self.look)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._called.clear()
                    await self._begin(group)
                    await self._called.wait()
        finally:
            forget()

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        try:
            held = await self._store.read.held_all() is not None
            found = [] if held else await self._store.look(merges.repositories)
        except StorageError as error:
            logger.error("merges: %s; looking again in %.0f s", error, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)
            self.look()
            return
        for repository in set(found) - self._at_work.keys():
            self._at_work[repository] = group.create_task(self._work(repository), name=f"merge {repository}")

    async def _next_of(self, repository: str) -> Merge | None:
        if await self._store.read.held_all() is not None:
            return None
        return await self._store.look(partial(merges.next_of, repository=repository))

    async def _work(self, repository: str) -> None:
        """All that can be done in one repository now. The edge of a queue: what goes wrong is tried again."""
        try:
            while (merge := await self._next_of(repository)) is not None:
                try:
                    await self._turn.step(merge)
                    self._wake()
                except HeadwayError as error:
                    logger.error("merge %d: %s; trying again in %.0f s", merge.id, error, AGAIN_SECONDS)
                    await asyncio.sleep(AGAIN_SECONDS)
                except Exception:
                    logger.exception("merge %d: a defect; trying again in %.0f s", merge.id, AGAIN_SECONDS)
                    await asyncio.sleep(AGAIN_SECONDS)
            await self._let_go(Path(repository))
        finally:
            self._at_work.pop(repository, None)
            self.look()

    async def _let_go(self, repository: Path) -> None:
        """Of what is over no commit is kept any more: it was merged, or stands on the branch of its job."""
        try:
            found = await keeping.kept(repository, self._home, "merges")
            over = await self._store.look(lambda tx: merges.ended(tx, found))
            await keeping.let_go(repository, self._home, "merges", over)
        except HeadwayError as error:
            logger.warning("merges of %s: %s", repository, error)


def _in_line(tx: Transaction, new: New) -> list[Merge]:
    return merges.in_line(tx, new.repository, new.target)


async def _check_branch(checkout: Path, name: str) -> None:
    """Raises `UsageError` with the nearest branch where there is none of that name."""
    try:
        await git(checkout, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}^{{commit}}")
    except GitError:
        listed = await git(checkout, "for-each-ref", "--format=%(refname:short)", "refs/heads")
        known = [one for one in listed.split("\n") if one and not one.startswith("headway/")]
        hint = nearest(name, known) if known else "it has none yet"
        raise UsageError(f"into: {checkout} has no branch {name!r}; {hint}") from None


def _note(one: Merge) -> str:
    match one.state:
        case "queued" if one.ahead is not None:
            before = "it is next" if not one.ahead else f"{one.ahead} before it"
            return f"it waits for its turn in the merge queue of {one.target}: {before}"
        case "stuck":
            return f"its merge into {one.target} waits for you (card {one.card}): {one.why}"
        case "checking":
            return f"it is on top of {one.target}, and checks run on that"
        case "landing":
            return f"{one.target} is being moved to it"
        case _:
            return f"its merge into {one.target} is {one.state}"
