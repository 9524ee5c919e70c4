"""Pipelines: found, begun, brought on, and what the operator does to one as a whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import structs

from engine import events as log
from engine import orders
from engine.agents.base import Agent
from engine.dispatch.routebook import Routebook
from engine.entry import title_of
from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError, UsageError
from engine.hub import Hub
from engine.merges import Merges
from engine.model import (
    Answer,
    JobSpec,
    Pipeline,
    PipelineActed,
    PipelineBegun,
    PipelineFile,
    PipelineOrder,
    PipelineState,
    PipelineVerb,
    PipelineWanted,
    Preview,
    StepState,
    Verb,
    Wanted,
)
from engine.paths import expanded
from engine.pipelines import finding
from engine.pipelines.making import Maker, values_missing
from engine.pipelines.work import Work
from engine.redact import Secrets
from engine.runner.git import GitError, git
from engine.runner.workspace import Workspaces
from engine.store import Store, Transaction, actions, pipeline_acts, pipeline_undo, pipelines, verbs
from engine.store.actions import Inverse
from engine.store.pipelines import Begin, Declared, Plan, Stood
from engine.store.rows import JobRow
from engine.store.verbs import Acted, Request
from engine.store.writer import RollbackError

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0  #: after a pipeline could not be brought on, such as on a full disk

#: After these a pipeline may be able to go on.
_MOVES = (
    log.Succeeded, log.Failed, log.Cancelled, log.MergeMoved, log.PipelineEntered, log.PipelineMoved, log.StepMoved,
)  # fmt: skip


class Pipelines:
    """One for an engine. `submit` is the engine's own; `stop` ends a job's processes; `wake` tells of new jobs."""

    def __init__(
        self,
        home: Path,
        store: Store,
        hub: Hub,
        book: Routebook,
        agents: Mapping[str, Agent],
        secrets: Secrets,
        merges: Merges,
        workspaces: Workspaces,
        submit: Callable[[Wanted], Awaitable[Answer]],
        stop: Callable[[int], None],
        wake: Callable[[], None],
    ) -> None:
        self._home = home
        self._store = store
        self._hub = hub
        self._settings = book.settings
        self._agents = agents
        self._submit = submit
        self._stop = stop
        self._wake = wake
        self._maker = Maker(home, store, book.settings, agents, book, workspaces)
        self._work = Work(home, store, book.settings, secrets, self._maker, merges, self._foresee, wake)
        self._called = asyncio.Event()
        self._at_work: dict[int, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """One of them is being brought on; checks may run."""
        return bool(self._at_work)

    # ---- what can be read

    async def files(self, project: str | None) -> list[PipelineFile]:
        """The pipelines for a project of the settings or a directory, without their texts."""
        found = await asyncio.to_thread(self._find, project)
        return [structs.replace(one.file, text="") for one in found]

    async def file(self, name: str, project: str | None) -> PipelineFile:
        """One of them. Raises `NotFoundError`."""
        return finding.named(await asyncio.to_thread(self._find, project), name).file

    async def newest(self, limit: int) -> list[Pipeline]:
        """The newest that were begun, without their steps."""
        return await self._store.look(lambda tx: pipelines.newest(tx, limit))

    async def pipeline(self, number: int) -> Pipeline:
        """Raises `NotFoundError`."""
        found = await self._store.look(lambda tx: pipelines.one(tx, number))
        if found is None:
            raise NotFoundError(f"there is no pipeline {number}; `headway pipelines runs` lists them")
        return found

    def notes(self, tx: Transaction, row: JobRow) -> list[str]:
        """What is to be said of a job that is of a pipeline."""
        found = pipelines.of_job(tx, row.id, row.batch)
        if found is None:
            return []
        number, name, step = found
        return [f"it is the step {step} of pipeline {number} ({name}); `headway pipelines status {number}` tells more"]

    def _find(self, project: str | None) -> list[finding.Found]:
        directory = None if project is None else orders.directories(self._settings).get(project, project)
        return finding.find_pipelines(finding.shelves(self._home, directory), self._agents.keys())

    # ---- what the operator asks

    async def begin(self, wanted: PipelineWanted, by: str) -> PipelineBegun:
        """Begin one. A dry run checks it all, and says what its jobs are expected to take.

        Raises `NotFoundError`, and `UsageError` for a file or inputs that are wrong.
        """
        if not wanted.what.strip():
            raise UsageError("what: it is empty")
        found = finding.named(await asyncio.to_thread(self._find, wanted.project), wanted.name)
        spec = finding.runnable(found)
        inputs = values_missing(spec, wanted.inputs)
        project = None
        base = None
        if wanted.project is not None:
            project = orders.directories(self._settings).get(wanted.project, wanted.project)
            base = await self._base(project, wanted.base)
        elif wanted.base is not None:
            raise UsageError("base: only a project has commits to begin at")
        elif any(one.kind == "merge" for one in spec.steps):
            raise UsageError(f"project: {wanted.name} merges what it does, and needs one")
        declared = [Declared(name=one.name, kind=one.kind, after=spec.after(one.name)) for one in spec.steps]
        raw = msgspec.Raw(msgspec.json.encode(spec))
        plan = Plan(
            what=wanted.what, steps=declared, spec=raw, inputs=inputs, base=base, priority=wanted.priority,
            tags=wanted.tags, path=found.file.path,
        )  # fmt: skip
        specs = self._maker.foreseen(wanted.name, plan, spec, project, [one.name for one in spec.steps])
        checked = await self._submit(Wanted(specs, dry_run=True))
        if wanted.dry_run:
            return PipelineBegun(steps=found.file.steps, preview=checked.preview)
        title = wanted.title or title_of(JobSpec(prompt=wanted.what))
        begin = Begin(wanted.name, title, project, plan, by)

        def write(tx: Transaction) -> PipelineBegun:
            if wanted.token is not None and (known := _known(tx, wanted)) is not None:
                return PipelineBegun(pipeline=known, steps=found.file.steps)
            pipeline = pipelines.begin(tx, begin)
            stood = Stood(pipeline.id, pipelines.frame(pipeline))
            action = actions.note(tx, f"run {wanted.name}", by, (), Inverse(pipelines=[stood]))
            if wanted.token is not None:
                _keep(tx, wanted, pipeline.id)
            return PipelineBegun(pipeline=pipeline, steps=found.file.steps, action=action)

        return await self._store.write(write)

    async def act(self, number: int, order: PipelineOrder, by: str) -> PipelineActed:
        """Hold, release, cancel or retry a pipeline with all its jobs, as one action. A dry run takes it back."""
        await self.pipeline(number)

        def carry_out(tx: Transaction) -> PipelineActed:
            done = _act(tx, number, order, by)
            if order.dry_run:
                raise RollbackError(structs.replace(done, action=None, dry_run=True))
            return done

        done = await self._store.write(carry_out)
        if not order.dry_run:
            for job in done.stopping:
                self._stop(job)
            task = self._at_work.get(number)
            if task is not None and order.verb in (PipelineVerb.CANCEL, PipelineVerb.HOLD):
                task.cancel()
            self._wake()
        return done

    async def _base(self, project: str, asked: str | None) -> str:
        """The commit that it begins at, by its whole name."""
        where = expanded(project)
        try:
            return await git(where, "rev-parse", "--verify", "--end-of-options", f"{asked or 'HEAD'}^{{commit}}")
        except GitError:
            what = f"no commit {asked!r}" if asked else "no git repository with a commit"
            raise UsageError(f"project: {project} has {what}: the steps could not be kept apart") from None

    async def _foresee(self, specs: list[JobSpec]) -> Preview | None:
        if not specs:
            return None
        try:
            return (await self._submit(Wanted(specs, dry_run=True))).preview
        except HeadwayError:
            return None

    # ---- bringing them on

    async def run(self) -> None:
        """Until cancelled. Each pipeline has a task of its own for as long as there is something to do in it."""
        forget = self._hub.heed(_MOVES, self._called.set)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._called.clear()
                    try:
                        found = await self._store.look(pipelines.unfinished)
                    except StorageError as error:
                        logger.error("pipelines: %s; looking again in %.0f s", error, AGAIN_SECONDS)
                        await asyncio.sleep(AGAIN_SECONDS)
                        continue
                    for number in found:
                        if number not in self._at_work:
                            self._at_work[number] = group.create_task(self._bring_on(number), name=f"pipeline {number}")
                    await self._called.wait()
        finally:
            forget()

    async def _bring_on(self, number: int) -> None:
        """As far as it goes by now. The edge of a pipeline: what goes wrong in one is logged, and tried again."""
        try:
            seq = -1
            while seq != self._hub.seq:  # something has happened while it was looked at
                seq = self._hub.seq
                while (at := await self._work.look(number)) is not None and await self._work.step(at):
                    pass
        except asyncio.CancelledError:
            self._called.set()  # it was stopped by the operator, who may have let it go on since
            raise
        except HeadwayError as error:
            logger.error("pipeline %d: %s; trying again in %.0f s", number, error, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)
            self._called.set()
        except Exception:
            logger.exception("pipeline %d: a defect; trying again in %.0f s", number, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)
            self._called.set()
        finally:
            self._at_work.pop(number, None)


def _act(tx: Transaction, number: int, order: PipelineOrder, by: str) -> PipelineActed:
    before = pipelines.one(tx, number)
    assert before is not None, "it was there a moment ago"
    verb = order.verb
    over = before.state is not PipelineState.RUNNING
    if verb is PipelineVerb.RETRY:
        if before.state not in (PipelineState.FAILED, PipelineState.CANCELLED):
            raise RefusedError(f"pipeline {number} is {before.state}: only what failed or was cancelled is retried")
    elif over:
        raise RefusedError(f"pipeline {number} is {before.state} already")
    elif verb is PipelineVerb.HOLD and before.held_by is not None:
        raise RefusedError(f"pipeline {number} is held by {before.held_by} already")
    elif verb is PipelineVerb.RELEASE and before.held_by is None:
        raise RefusedError(f"pipeline {number} is not held")
    failed = [one for one in before.steps if one.state is StepState.FAILED]
    jobs = pipeline_undo.unfinished_jobs(tx, before.batch)
    if verb is PipelineVerb.RETRY:
        jobs = [job for one in before.steps if one.state in (StepState.FAILED, StepState.RUNNING) for job in one.jobs]
    acted = verbs.act(tx, Request(Verb(verb), jobs, by)) if jobs else None
    queued = pipeline_undo.take_out(tx, before, by) if verb is PipelineVerb.CANCEL else []
    match verb:
        case PipelineVerb.HOLD:
            pipelines.move(tx, before, before.state, by=by, held=by)
        case PipelineVerb.RELEASE:
            pipelines.move(tx, before, before.state, by=by)
        case PipelineVerb.CANCEL:
            for step in before.steps:
                pipeline_undo.withdraw(tx, step)
                if step.state is StepState.ASKING:
                    pipelines.move_step(tx, number, step, StepState.WAITING, by=by, card=None)
            pipelines.move(tx, before, PipelineState.CANCELLED, by=by, why=f"{by} cancelled it")
        case PipelineVerb.RETRY:
            pipeline_acts.once_more(tx, before, failed, by)
            pipelines.move(tx, before, PipelineState.RUNNING, by=by)
    after = pipelines.one(tx, number)
    assert after is not None, "it was there a moment ago"
    stood = Stood(number, pipelines.frame(after), pipelines.frame(before))
    action = _noted(tx, verb, by, acted, Inverse(pipelines=[stood], merges=queued))
    result = acted.result if acted is not None else None
    return PipelineActed(
        pipeline=after,
        verb=verb,
        jobs=result.done if result is not None else [],
        stopping=result.stopping if result is not None else [],
        action=action,
    )


def _noted(tx: Transaction, verb: PipelineVerb, by: str, acted: Acted | None, inverse: Inverse) -> int:
    """One action for the pipeline, its jobs and what it has in the merge queue."""
    if acted is None or acted.result.action is None:
        return actions.note(tx, f"pipelines {verb}", by, (), inverse)
    whole = structs.replace(acted.inverse, pipelines=inverse.pipelines, merges=inverse.merges)
    actions.amend(tx, acted.result.action, whole)
    return acted.result.action


class _Token(msgspec.Struct, frozen=True):
    """What a client's own name stands for, beside those of submissions."""

    pipeline: int
    ids: list[int] = msgspec.field(default_factory=list)


def _known(tx: Transaction, wanted: PipelineWanted) -> Pipeline | None:
    """What the client's own name for this stands for already."""
    found = tx.connection.execute("SELECT digest, ids FROM submissions WHERE token = ?", (wanted.token,)).fetchone()
    if found is None:
        return None
    if found[0] != _digest(wanted):
        raise RefusedError(f"the token {wanted.token!r} stands for something else already; choose a new one")
    return pipelines.one(tx, msgspec.json.decode(found[1], type=_Token).pipeline)


def _keep(tx: Transaction, wanted: PipelineWanted, number: int) -> None:
    tx.connection.execute(
        "INSERT INTO submissions (token, at, digest, ids) VALUES (?, ?, ?, ?)",
        (wanted.token, tx.now, _digest(wanted), msgspec.json.encode(_Token(number)).decode()),
    )


def _digest(wanted: PipelineWanted) -> str:
    return f"pipeline {wanted.name} {wanted.what}"
