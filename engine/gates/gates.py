"""The gates of an engine: its doors to them, and the loop that brings each look on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from engine.dispatch.routebook import Routebook
from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError
from engine.gate.book import Gate, Gatebook
from engine.gates.course import CHECKS_AT_ONCE, Course
from engine.gates.looker import Looker
from engine.gates.reviewers import Reviewers
from engine.hub import Hub
from engine.model import (
    Cause,
    GateLine,
    GateLook,
    GatePlan,
    JobGate,
    Reason,
    Stage,
    State,
    Verdict,
)
from engine.redact import Secrets
from engine.runner.cells import Cells
from engine.runner.workspace import Workspaces
from engine.store import Store, Transaction, gatings, verbs
from engine.store.rows import AttemptRow, JobRow, read_attempts, read_job, read_spec

logger = logging.getLogger(__name__)

BREATH_SECONDS = 0.1  #: between two looks at what is gated, however much happens meanwhile
NO_PROGRESS = 1 << 62  #: a version of progress that none is newer than: wait for events alone
AGAIN_SECONDS = 30.0  #: after a look could not be brought on, such as on a full disk


class Gates:
    """One for an engine. `stop` ends what runs of a job, `wake` tells the dispatcher of new jobs."""

    def __init__(
        self,
        home: Path,
        store: Store,
        hub: Hub,
        book: Gatebook,
        routes: Routebook,
        workspaces: Workspaces,
        secrets: Secrets,
        stop: Callable[[int], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._hub = hub
        self._book = book
        self._settings = routes.settings
        self._stop = stop
        self._wake = wake
        at_once = asyncio.Semaphore(CHECKS_AT_ONCE)
        cells = Cells(home, routes.settings)
        self._looker = Looker(home, store, workspaces, routes.agents, routes.settings, secrets, cells, at_once)
        reviewers = Reviewers(home, store, workspaces, routes.agents, routes.settings, secrets, routes)
        self._course = Course(store, self._looker, reviewers, book, self._note, wake)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._standing: dict[int, str] = {}
        self._claiming = 0

    # ---- what can be asked

    def lines(self) -> list[GateLine]:
        """The gates of the settings."""
        names = {one.directory: name for name, one in self._settings.projects.items()}
        return self._book.lines(names)

    async def of_job(self, job: int) -> JobGate:
        """The gate of a job, what it would do, and all its looks. Raises `NotFoundError`."""

        def read(tx: Transaction) -> JobGate:
            row = read_job(tx.connection, job)
            if row is None:
                raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
            return JobGate(plan=self._plan(tx, row), looks=gatings.looks(tx, job))

        return await self._store.look(read)

    async def looks(self, job: int) -> list[GateLook]:
        """All looks at a job, the oldest first."""
        return await self._store.look(lambda tx: gatings.looks(tx, job))

    async def run_now(self, attempt: int, words: str = "") -> GateLook:
        """Look at the work of a live attempt, in its workspace, without ending it: checks, evidence, and its claims.

        `attempt`: its id. `words`: what its agent says that it has done, to be held against facts. Reviewers are not
        asked: they read what is finished. Where nothing changes until the attempt ends, its checks are not run again.
        Raises `NotFoundError`, and `RefusedError` where the attempt does not run, or its job has no gate.
        """
        tried, row, gate = await self._store.look(lambda tx: self._live(tx, attempt))
        if gate is None:
            raise RefusedError(f"J{row.id} has no gate; submit it with --gate NAME, or give its project one")
        async with self._locks[row.id]:
            self._claiming += 1
            try:
                return await self._claim(tried, gate, words)
            finally:
                self._claiming -= 1

    async def _claim(self, tried: AttemptRow, gate: Gate, words: str) -> GateLook:
        begun = await self._store.write(lambda tx: gatings.first(tx, tried, gate.name, gate.digest, claimed=True))
        looked = await self._looker.look(begun, tried, gate, words, lambda said: None)
        passed = not looked.look.findings and not gate.missing

        def write(tx: Transaction) -> GateLook:
            told = Verdict.PASSED if passed else Verdict.REFUSED
            look = replace(looked.look, stage=Stage.OVER, verdict=told, ended_at=tx.now, by="checks")
            gatings.checked(tx, tried, look, looked.trees, gate.digest)
            return look

        return await self._store.write(write)

    def _live(self, tx: Transaction, attempt: int) -> tuple[AttemptRow, JobRow, Gate | None]:
        tried = read_attempts(tx.connection, [attempt]).get(attempt)
        if tried is None:
            raise NotFoundError(f"there is no attempt {attempt}")
        row = read_job(tx.connection, tried.job)
        if row is None or row.attempt != attempt or row.state is not State.RUNNING or tried.workspace is None:
            raise RefusedError(f"attempt {tried.number} of J{tried.job} does not run")
        return tried, row, self._book.gate(read_spec(tx.connection, row), row.project, tried.agent)

    def _plan(self, tx: Transaction, row: JobRow) -> GatePlan:
        spec = read_spec(tx.connection, row)
        name, why = self._book.named(spec, row.project, row.agent)
        gate = self._book.gates.get(name or "")
        if gate is None:
            said = f"{why}; but headway.yaml has no gate {name!r}" if name is not None else why
            return GatePlan(job=row.id, gate=None, why=said)
        names = {one.directory: one_name for one_name, one in self._settings.projects.items()}
        targets = self._book.reviewers(gate, row.target, row.project)
        notes = []
        if len(targets) < gate.quorum:
            notes.append(f"only {len(targets)} reviewers can be found, and {gate.quorum} have to approve")
        notes += filter(None, (self._book.privacy.barred(one, row.project) for one in targets))
        line = self._book.line(gate, names)
        return GatePlan(job=row.id, gate=line, why=why, reviewers=[str(one) for one in targets], notes=notes)

    @property
    def busy(self) -> bool:
        """Checks run, or a look is on its way."""
        return bool(self._tasks) or self._claiming > 0

    def standing(self, row: JobRow) -> list[Reason]:
        """How far the look at a job has come, as what keeps it from being done."""
        if row.state is not State.GATING or row.held_by is not None:
            return []
        told = self._standing.get(row.id, "its turn to be looked at comes")
        return [Reason(Cause.GATE, f"it is being checked: {told}", f"`headway gate {row.id}` shows it", jobs=[row.id])]

    # ---- bringing them on

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while not self._hub.closing.is_set():
                seq = self._hub.seq
                try:
                    await self._look()
                except StorageError as error:
                    logger.error("gates: %s; looking again in %.0f s", error, AGAIN_SECONDS)
                    await asyncio.sleep(AGAIN_SECONDS)
                await asyncio.sleep(BREATH_SECONDS)
                await self._hub.changed(seq, NO_PROGRESS)
        finally:
            await self._end(list(self._tasks))

    async def _look(self) -> None:
        gated = await self._store.look(gatings.gating)
        await self._end([job for job in self._tasks if job not in gated])
        for job in await self._store.look(gatings.left):
            await self._leave(job)
        for job in gated:
            if job not in self._tasks:
                task = self._tasks[job] = asyncio.create_task(self._bring_on(job), name=f"gate-{job}")
                task.add_done_callback(partial(self._done, job))
        for job in self._standing.keys() - set(gated):
            del self._standing[job]

    def _done(self, job: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job) is task:
            del self._tasks[job]
        self._wake()  # it may have been ended between what it wrote and its telling of that

    async def _bring_on(self, job: int) -> None:
        """As far as it goes by now. The edge of a look: what goes wrong in one is logged, and tried again."""
        try:
            async with self._locks[job]:
                while await self._course.step(job):
                    pass
        except HeadwayError as error:
            logger.error("job %d: its gate: %s; trying again in %.0f s", job, error, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)
        except Exception:
            logger.exception("job %d: a defect in its gate; trying again in %.0f s", job, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _end(self, jobs: Sequence[int]) -> None:
        """End looks that nobody wants any more, with all that their checks have started."""
        ending = [self._tasks[job] for job in jobs]
        for task in ending:
            task.cancel()
        for task in ending:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _leave(self, job: int) -> None:
        """A job was cancelled while it was looked at: nobody reads what its reviewers would say."""

        def leave(tx: Transaction) -> list[int]:
            asked = gatings.stopped(tx, job)
            return verbs.cancel(tx, asked, f"gate of J{job}") if asked else []

        for running in await self._store.write(leave):
            self._stop(running)

    def _note(self, job: int, said: str) -> None:
        self._standing[job] = said
