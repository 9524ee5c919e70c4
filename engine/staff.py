"""Who does the work: the engine's personas and persistent workers, and what a job takes over from its own."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from engine.agents.base import Agent
from engine.config import Settings
from engine.context.personas import Personas, dressed
from engine.documents import nearest
from engine.errors import EntryError, NotFoundError, RefusedError, UsageError
from engine.model import JobSpec, Wanted, Workspace
from engine.paths import expanded
from engine.personas.persona import Persona
from engine.store import Store, Transaction, actions, claims, sessions, workers
from engine.store.actions import Inverse
from engine.store.rows import read_job
from engine.store.workers import Stored
from engine.store.writer import RollbackError
from engine.worker import (
    FILE,
    NAME,
    NAME_LIMIT,
    Kept,
    Worker,
    WorkerAnswer,
    WorkerDetail,
    WorkerOrder,
    WorkerSpec,
    WorkerVerb,
)

logger = logging.getLogger(__name__)

LAST = 20  #: of the jobs that ended in a worker, so many are told


class Staff:
    """One for an engine. `wake` is called when a worker may take a job."""

    def __init__(
        self, home: Path, settings: Settings, store: Store, agents: Mapping[str, Agent], wake: Callable[[], None]
    ) -> None:
        self._home = home
        self._settings = settings
        self._store = store
        self._agents = agents
        self._wake = wake
        self._personas = Personas.of(home, settings)
        self._workers: dict[str, WorkerSpec] = {}
        """By name, as the database has them."""

    async def open(self) -> None:
        """Bring the workers up to what headway.yaml says. Called before anything is submitted."""
        wanted = {name: Kept(spec=spec, by=FILE) for name, spec in self._settings.workers.items()}
        left = await self._store.write(lambda tx: workers.keep_to(tx, wanted))
        for name in left:
            logger.warning("the worker %s is not in headway.yaml any more: it stays until its jobs have ended", name)
        await self._learn()

    async def _learn(self) -> None:
        found = await self._store.look(workers.every)
        self._workers = {one.name: one.kept.spec for one in found if one.kept is not None}

    # ---- personas

    async def personas(self, project: str | None = None) -> list[Persona]:
        """Those for a project of the settings or a directory, or for jobs without one."""
        return await asyncio.to_thread(self._personas.every, self._directory(project))

    async def persona(self, name: str, project: str | None = None) -> Persona:
        """One of them, broken or not. Raises `NotFoundError`."""
        for one in await self.personas(project):
            if one.name == name:
                return one
        raise NotFoundError(f"there is no persona {name!r}; `headway personas` lists them")

    # ---- what a job takes over

    async def dressed(self, wanted: Wanted) -> Wanted:
        """A submission whose jobs have what their workers and personas say, where they say nothing themselves.

        Raises `EntryError` for the first one whose persona or worker cannot be had; others are among its `others`.
        """
        wrong: list[EntryError] = []
        jobs = [await self._dress(entry, spec, wrong) for entry, spec in enumerate(wanted.jobs)]
        then = await self._dress(len(jobs), wanted.then, wrong) if wanted.then is not None else None
        if wrong:
            first, *others = wrong
            raise EntryError(first.message, first.entry, first.key, others)
        return replace(wanted, jobs=jobs, then=then)

    async def _dress(self, entry: int, spec: JobSpec, wrong: list[EntryError]) -> JobSpec:
        try:
            return await asyncio.to_thread(self.dress, spec)
        except _WrongError as error:
            wrong.append(EntryError(f"{error.key}: {error.message}", entry, error.key))
            return spec

    def dress(self, spec: JobSpec) -> JobSpec:
        """The same of one job. Blocks. Raises `UsageError`."""
        own = self._worker_of(spec)
        if own is not None:
            spec = self._seated(spec, own)
        directory = self._directory(spec.project)
        name = spec.persona or (own.persona if own is not None else None) or self._usual(directory)
        if name is None:
            return spec
        try:
            persona = self._personas.named(name, directory)
        except UsageError as error:
            raise _WrongError("persona", error.message) from None
        assert persona.head is not None, "one without a head has a problem"
        return dressed(replace(spec, persona=name), persona.head)

    def _worker_of(self, spec: JobSpec) -> WorkerSpec | None:
        if spec.worker is None:
            return None
        if spec.worker in self._workers:
            return self._workers[spec.worker]
        hint = nearest(spec.worker, self._workers) if self._workers else "there are none: `headway workers add NAME`"
        raise _WrongError("worker", f"there is no worker {spec.worker!r}; {hint}")

    def _seated(self, spec: JobSpec, own: WorkerSpec) -> JobSpec:
        """A job with what its worker says. Where it is done is the worker's to say."""
        if spec.project is not None and self._directory(spec.project) != self._directory(own.project):
            where = own.project or "an empty directory of its own"
            raise _WrongError("project", f"the worker {spec.worker} works in {where}: leave project out")
        if spec.workspace is Workspace.PROJECT or spec.base is not None:
            raise _WrongError("worker", "a worker has a directory of its own: leave workspace and base out")
        placed = spec.route is not None or spec.agent is not None or spec.model is not None or spec.account is not None
        if not placed:
            spec = replace(spec, route=own.route, agent=own.agent, model=own.model, account=own.account)
        return replace(spec, project=own.project)

    # ---- workers

    async def workers(self) -> list[Worker]:
        """All of them by name."""
        return await self._store.look(lambda tx: [self._told(tx, one) for one in workers.every(tx)])

    async def worker(self, name: str) -> WorkerDetail:
        """One of them, with its queue. Raises `NotFoundError`."""

        def look(tx: Transaction) -> WorkerDetail:
            stored = _there(tx, name)
            queue = workers.waiting(tx, name, stored.job)
            return WorkerDetail(worker=self._told(tx, stored), queue=queue, last=workers.ended(tx, name)[:LAST])

        return await self._store.look(look)

    async def act(self, name: str, order: WorkerOrder, by: str) -> WorkerAnswer:
        """Carry out one of the operator's verbs on a worker. A dry run does the same and takes it back.

        Raises `NotFoundError`, `RefusedError` where it has jobs or is said in headway.yaml, and `UsageError`.
        """
        spec = self._checked(name, order.spec) if order.verb is WorkerVerb.ADD else None

        def change(tx: Transaction) -> WorkerAnswer:
            number = self._change(tx, name, order.verb, spec, by)
            stored = workers.one(tx, name)
            there = stored is not None and stored.kept is not None
            answer = WorkerAnswer(
                verb=order.verb,
                name=name,
                worker=self._told(tx, stored) if there and stored is not None else None,
                kept="" if there or stored is None else stored.workspace or "",
                action=None if order.dry_run else number,
                dry_run=order.dry_run,
            )
            if order.dry_run:
                raise RollbackError(answer)
            return answer

        answer = await self._store.write(change)
        await self._learn()
        self._wake()
        return answer

    async def undone(self) -> None:
        """An action was taken back: it may have been one on a worker."""
        await self._learn()

    def _change(self, tx: Transaction, name: str, verb: WorkerVerb, spec: WorkerSpec | None, by: str) -> int:
        if verb is WorkerVerb.ADD:
            before = workers.one(tx, name)
            if before is not None and before.kept is not None:
                raise RefusedError(f"there is a worker {name!r} already; `headway workers show {name}`")
            kept = Kept(spec=spec or WorkerSpec(), by=by)
            workers.put(tx, name, kept, by, anew=True)
            return actions.note(tx, "worker add", by, (), Inverse(worker=name, hired=kept))
        stored = _there(tx, name)
        scope = f"worker:{name}"
        if verb is WorkerVerb.REMOVE:
            if stored.kept is not None and stored.kept.by == FILE:
                raise RefusedError(f"{name!r} is said in headway.yaml: remove it there, and start the engine again")
            if left := workers.waiting(tx, name, None):
                told = ", ".join(f"J{job}" for job in left[:5])
                raise RefusedError(f"{name!r} has unfinished jobs: {told}; cancel them, or let them end")
            workers.put(tx, name, None, by)
            return actions.note(tx, "worker remove", by, (), Inverse(worker=name, had=stored.kept))
        paused = claims.holds(tx).get(scope)
        if verb is WorkerVerb.PAUSE and paused is not None:
            raise RefusedError(f"{name!r} is paused already, by {paused}")
        if verb is WorkerVerb.RESUME and paused is None:
            raise RefusedError(f"{name!r} is not paused")
        held = by if verb is WorkerVerb.PAUSE else None
        return actions.note(tx, f"worker {verb}", by, (), actions.hold(tx, scope, held, by))

    def _checked(self, name: str, spec: WorkerSpec | None) -> WorkerSpec:
        """Raises `UsageError` for the first thing that is wrong."""
        if not re.fullmatch(NAME, name):
            raise UsageError(f"{name[:NAME_LIMIT]!r} is no name for a worker: letters, digits and . _ -")
        spec = spec or WorkerSpec()
        if problem := self._problem(spec):
            raise UsageError(problem)
        return spec

    def _problem(self, spec: WorkerSpec) -> str:
        """Why it could take no job; empty where it could."""
        named = self._settings.projects
        directory = self._directory(spec.project)
        if directory is not None and not Path(directory).is_dir():
            hint = nearest(spec.project or "", named) if named else "give an absolute directory"
            return f"project: there is no directory {directory}; {hint}"
        if spec.agent is not None and spec.agent not in self._agents:
            return f"agent: there is no agent {spec.agent!r}; {nearest(spec.agent, self._agents)}"
        if spec.route is not None and spec.route not in self._settings.routes:
            return f"route: there is no route {spec.route!r} in headway.yaml"
        try:
            if spec.persona is not None:
                self._personas.named(spec.persona, directory)
        except UsageError as error:
            return f"persona: {error.message}"
        return ""

    def _told(self, tx: Transaction, stored: Stored) -> Worker:
        spec = stored.kept.spec if stored.kept is not None else WorkerSpec()
        known = stored.agent is not None and stored.session is not None
        session = sessions.read(tx, stored.agent or "", stored.session or "") if known else None
        row = read_job(tx.connection, stored.job) if stored.job is not None else None
        return Worker(
            name=stored.name,
            spec=spec,
            by=stored.kept.by if stored.kept is not None else "",
            added_at=stored.added_at,
            paused_by=claims.holds(tx).get(f"worker:{stored.name}"),
            job=stored.job,
            state=row.state if row is not None else None,
            waiting=len(workers.waiting(tx, stored.name, stored.job)),
            done=len(workers.ended(tx, stored.name)),
            agent=stored.agent,
            session=stored.session,
            turns=session.turns if session is not None else 0,
            share=session.share if session is not None else None,
            workspace=stored.workspace,
            branch=stored.branch,
            used_at=stored.used_at,
            problem=self._problem(spec) or None,
        )

    def _directory(self, project: str | None) -> str | None:
        """A project by its name in the settings, else a directory as it is."""
        named = self._settings.projects.get(project or "")
        if named is not None:
            return named.directory
        return str(expanded(project)) if project is not None and project.startswith("~") else project

    def _usual(self, directory: str | None) -> str | None:
        """Who agents are in the jobs of a project that do not say so."""
        named = (one.persona for one in self._settings.projects.values() if one.directory == directory)
        return next(named, None) if directory is not None else None


class _WrongError(UsageError):
    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def _there(tx: Transaction, name: str) -> Stored:
    stored = workers.one(tx, name)
    if stored is None or stored.kept is None:
        known = [one.name for one in workers.every(tx) if one.kept is not None]
        hint = nearest(name, known) if known else "there are none: `headway workers add NAME`"
        raise NotFoundError(f"there is no worker {name!r}; {hint}")
    return stored
