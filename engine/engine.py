"""The engine: its rooms under one roof, the operator's verbs, and what can be read of it all."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from engine import __version__, accounts, orders
from engine.agents.base import Agent
from engine.audit import Audit
from engine.card_kinds import all_kinds
from engine.clock import now_ms
from engine.cluster.cluster import Cluster
from engine.config import Settings
from engine.context.personas import Personas
from engine.contexts import Contexts
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.preview import Change
from engine.dispatch.routebook import Routebook
from engine.errors import NotFoundError, NotStartedError, RefusedError, UsageError
from engine.foresight import Foresight
from engine.gate.book import Gatebook
from engine.gates.gates import Gates
from engine.hub import Hub
from engine.inbox import Inbox
from engine.keyless import without_keys
from engine.mcp.capability import Grants
from engine.mcp.tooling import desk
from engine.mcp.work import Doors
from engine.memory.memory import Memory
from engine.merges import Merges
from engine.model import (
    ALL,
    ActionResult,
    AgentStatus,
    Answer,
    Attempt,
    Breaker,
    Cap,
    Explanation,
    Job,
    JobDetail,
    JobSpec,
    Order,
    Status,
    Undone,
    Verb,
    Wanted,
)
from engine.monitoring import Monitoring
from engine.notify.notifier import Notifier
from engine.opinion import Opinions
from engine.passing import HandOffs
from engine.pipelines.pipelines import Pipelines
from engine.races import Races
from engine.redact import Secrets
from engine.remembering import Remembering
from engine.routes import Routes
from engine.runner.follow import Follower
from engine.runner.launch import Launcher
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.runner import Runner
from engine.runner.workspace import Workspaces
from engine.scheduling import Schedules
from engine.scoreboard import Scores
from engine.sessions import AttachRequest, Session, Takeover
from engine.shelf import Shelf
from engine.spend.spending import Spending
from engine.staff import Staff
from engine.store import Store, Transaction, actions, claims, network, sessions, submit, tools, verbs
from engine.store.filter import Filter
from engine.store.rows import AttemptRow, JobRow
from engine.store.tools import Parent
from engine.submission import accepted
from engine.takeover import Takeovers
from engine.tap.tap import Tap
from engine.tax.taxes import Taxes
from engine.tokens import Tokens
from engine.triage import Triaging
from engine.units import milliseconds
from engine.upkeep import service
from engine.upkeep.wire import Prune, PruneResult
from engine.weather import Weather

READ_LIMIT = 1_000  #: rows of one page, whatever is asked for


class Engine:
    """A running engine. Made by `serving`, which also ends it."""

    def __init__(
        self,
        home: Path,
        settings: Settings,
        store: Store,
        hub: Hub,
        follower: Follower,
        runner: Runner,
        dispatcher: Dispatcher,
        agents: Mapping[str, Agent],
        workspaces: Workspaces,
        secrets: Secrets,
        takeovers: Takeovers,
        book: Routebook,
        tap: Tap,
        memory: Memory,
        grants: Grants,
        launcher: Launcher,
        notify: Notifier,
        cluster: Cluster,
    ) -> None:
        self.home = home
        self.settings = settings
        self.store = store
        self.hub = hub
        self.follower = follower
        self.agents = agents
        self.secrets = secrets
        self.started_at = now_ms()
        self.asked_to_stop = asyncio.Event()
        self.reload: Callable[[], None] = _no_process
        """Take the settings as they are now, by starting anew. Raises what is wrong in them."""
        self.listens: str | None = None
        """Where it is reached over the network: `https://HOST:PORT`."""
        self.routes = Routes(store, book)
        self.tap = tap
        gatebook = Gatebook.of(settings, agents, book.privacy)
        self.gates = Gates(home, store, hub, gatebook, book, workspaces, secrets, runner.stop, dispatcher.wake)
        self.foresight = Foresight(
            store, hub, dispatcher, settings.max_attempts, agents, self._notes, self.gates.standing
        )
        self.inbox = Inbox(
            store,
            hub,
            settings,
            secrets,
            all_kinds(book, agents, gatebook),
            self.foresight.foresee,
            self._answered,
            dispatcher.wake,
        )
        self.tax = Taxes(store, settings)
        self.tokens = Tokens(store)
        self.audit = Audit(store, secrets)
        self.weather = Weather(store, dispatcher.wake)
        self.races = Races(home, store, hub, book, secrets, self.act, dispatcher.wake)
        self.merges = Merges(home, store, hub, settings, secrets, dispatcher.wake)
        self.pipelines = Pipelines(
            home, store, hub, book, agents, secrets, self.merges, workspaces, self.submit, runner.stop, dispatcher.wake
        )
        self.scores = Scores(store, settings)
        self.opinions = Opinions(home, store, hub, book, secrets, dispatcher.wake)
        self.triage = Triaging(store, book, self.opinions, dispatcher.wake)
        self.shelf = Shelf(store, settings, agents)
        self.staff = Staff(home, settings, store, agents, dispatcher.wake)
        self.schedules = Schedules(
            store,
            settings,
            agents,
            book=book,
            wake=dispatcher.wake,
            stop=runner.stop,
            draining=lambda: dispatcher.draining,
            dress=self.staff.dress,
        )
        self.spend = Spending(store, settings, dispatcher.wake)
        self.monitoring = Monitoring(
            home, store, hub, self.weather, self.spend, self.status, self.caps, self.breakers, follower.pulse
        )
        self._runner = runner
        self._enforcer = launcher.enforcer
        self._dispatcher = dispatcher
        self._workspaces = workspaces
        self._takeovers = takeovers
        self.memory = memory
        self.remembering = Remembering(store, memory)
        self.hand_offs = HandOffs(store, secrets)
        self.contexts = Contexts(home, store, launcher, agents)
        self.notify = notify
        self.cluster = cluster
        self._draining: asyncio.Task[None] | None = None
        doors = Doors(self.submit, self.job, self.hand_offs.write, self.gates.run_now)
        self.tools = desk(
            store, hub, settings, agents, secrets, memory, Personas.of(home, settings), grants, runner, doors
        )

    # ---- the operator's verbs

    async def submit(self, wanted: Wanted, parent: Parent | None = None) -> Answer:
        """Accept jobs, all or none, durably. A dry run checks them, and foresees what would become of them.

        `parent`: the attempt whose agent submits them. Raises `EntryError` for the first that cannot be accepted.
        """
        self.require_open()
        wanted = await self.staff.dressed(wanted)
        now, sorter = now_ms(), await self.triage.sorter()
        submission = accepted(wanted, self.settings, self.agents.keys(), now, self.routes.book, sorter)
        submission = (await self.triage.placed(submission, now)).of(parent)
        submission, keyless = without_keys(submission, self.agents, self.secrets.kept)
        if wanted.dry_run:
            rows, needs = await self.store.write(lambda tx: submit.rehearse(tx, submission))
            rows = await self.routes.foresee(rows, [one.spec for one in submission.all])
            return Answer(ids=[], preview=await self.foresight.preview(Change(rows, needs, free=self.foresight.free)))
        admitted = await self.store.write(submit.Admission(submission))
        await self.opinions.ask(submission.jobs, admitted)
        self._dispatcher.wake()
        named = [*admitted.ids, *([admitted.follow_up] if admitted.follow_up is not None else [])]
        of_them = [named[entry] for entry in keyless if entry < len(named)]
        return Answer(admitted.ids, admitted.existing, admitted.batch, admitted.follow_up, of_them)

    def _answered(self) -> None:
        """The operator has answered something, for which an agent may wait."""
        self._runner.answered()
        self.tools.questions.answered()

    def require_open(self) -> None:
        """Raise `RefusedError` where no new work is taken."""
        if self._dispatcher.draining:
            raise RefusedError("the engine is draining and takes no new jobs")

    async def act(self, order: Order, by: str) -> ActionResult:
        """Carry out one of the operator's verbs. A dry run does the same, takes it back, and foresees what follows."""
        spec = await self._to_edit(order) if order.verb is Verb.EDIT else None
        request = orders.request(order, by, self.settings, self.agents.keys(), now_ms(), spec, self.routes.book)
        if order.fork:
            forks = frozenset(name for name, agent in self.agents.items() if agent.forks)
            request = dataclasses.replace(request, forks=forks)
        acted = await self.store.write(lambda tx: verbs.act(tx, request))
        if order.dry_run and not order.preview:
            return replace(acted.result, action=None)
        if order.dry_run:
            change = await self.foresight.change_of(order.verb, acted, order.limit)
            change = dataclasses.replace(change, rows=await self.routes.foresee(change.rows))
            return replace(acted.result, preview=await self.foresight.preview(change), action=None)
        for job in acted.result.stopping:
            self._runner.stop(job)
        if order.verb is Verb.DRAIN:
            self.drain()
        self._dispatcher.wake()
        return acted.result

    async def _to_edit(self, order: Order) -> JobSpec:
        if len(order.jobs) != 1 or order.prompt is None:
            raise UsageError("edit takes one job and its new prompt")
        return await self.store.read.spec(await self.row(order.jobs[0]))

    async def undo(self, action: int | None, by: str, *, dry_run: bool) -> Undone:
        """Take back the newest action, or the one with that number.

        Raises `NotFoundError` where there is none.
        """
        taken = await self.store.write(lambda tx: actions.undo(tx, by, action, self.inbox.kinds, dry_run=dry_run))
        undone = taken.undone
        if taken.memory:
            told = await self.remembering.take_back(taken.memory, dry_run=dry_run)
            undone = replace(undone, said="; ".join(filter(None, (undone.said, told))))
        if not dry_run:
            self.triage.forget()
            self.inbox.taken_back()
            await self.staff.undone()
            if taken.drain:
                self._end_drain()
            self._dispatcher.wake()
            self.schedules.wake()
        return undone

    async def attach(self, job: int, request: AttachRequest, by: str) -> Takeover:
        """Give a job's session to the operator at a terminal. What runs of the job is parked first."""
        return await self._takeovers.begin(job, request, by)

    async def detach(self, job: int, marker: str) -> Job:
        """The operator has left the session: the job goes on in it."""
        return await self._takeovers.end(job, marker, self.settings.grace)

    def _notes(self, tx: Transaction, row: JobRow) -> list[str]:
        """What the rooms have to say of a job."""
        rooms = (self.routes, self.pipelines, self.merges, self._enforcer)
        return [note for room in rooms for note in room.notes(tx, row)]

    def drain(self) -> None:
        """Start nothing more, and stop once nothing runs. For this engine alone: the next one starts again."""
        self._dispatcher.draining = True
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="drain")

    @property
    def drains(self) -> bool:
        """It starts nothing more, and stops once nothing runs."""
        return self._dispatcher.draining

    def _end_drain(self) -> None:
        self._dispatcher.draining = False
        if self._draining is not None:
            self._draining.cancel()
            self._draining = None

    def let_go(self) -> None:
        """The engine ends, and with it what waits for that."""
        if self._draining is not None:
            self._draining.cancel()

    async def prune(self, wanted: Prune, by: str) -> PruneResult:
        """Remove ended jobs, for a while; `more` says that there is more to do."""
        kept = milliseconds(self.settings.upkeep.quarantine_for)
        done = await service.prune(self.store, self.home, wanted, by=by, keep_ms=kept, locks=self._workspaces.locks)
        if not wanted.dry_run:
            await self.memory.prune(done.before)
        return done

    async def _drain(self) -> None:
        seq = self.hub.seq
        while ((await self.store.read.counts()).running or self.gates.busy) and not self.hub.closing.is_set():
            await self.hub.changed(seq, self.hub.progress_after(0)[0])
            seq = self.hub.seq
        self.asked_to_stop.set()

    # ---- what can be read

    async def status(self) -> Status:
        read = self.store.read
        now = now_ms()
        midnight = datetime.fromtimestamp(now / 1000).replace(hour=0, minute=0, second=0, microsecond=0)
        spend, grade = await read.spend_since(int(midnight.timestamp() * 1000))
        return Status(
            version=__version__,
            pid=os.getpid(),
            home=str(self.home),
            started_at=self.started_at,
            now=now,
            seq=self.hub.seq,
            counts=await read.counts(),
            cards=await read.open_cards(),
            slots=(await read.caps()).get(ALL, self.settings.max_running),
            held_all=await read.held_all(),
            draining=self._dispatcher.draining,
            spend_today_micros=spend,
            spend_today_grade=grade,
            theme=self.settings.theme,
            keymap=self.settings.keymap,
            keys=self.settings.keys,
            listens=self.listens,
        )

    async def order(self, text: str, sort: str = "") -> bytes:
        """Ids of the jobs that match a filter, in the console's order or sorted: native 8-byte integers."""
        return (await self.store.read.order(self._filter(text), sort=orders.sort_of(sort))).tobytes()

    def _filter(self, text: str) -> Filter:
        return orders.filter_of(text, self.settings, now_ms())

    async def rows(self, ids: Sequence[int]) -> list[Job]:
        return await self.spend.jobs(await self.store.read.rows(ids[:READ_LIMIT]))

    async def list_jobs(self, text: str, limit: int, sort: str = "") -> list[Job]:
        ids = await self.store.read.order(self._filter(text), limit, orders.sort_of(sort))
        return await self.spend.jobs(await self.store.read.rows(ids.tolist()))

    async def job(self, job: int) -> JobDetail:
        row = await self.row(job)
        said = await self.store.look(lambda tx: tools.of_job(tx, job))
        tried = [await self._attempt(one) for one in await self.store.read.attempts(job)]
        attempts = [replace(one, report=said.reports.get(one.id)) for one in tried]
        after, before = await self.store.read.dependencies(job)
        return JobDetail(
            job=(await self.spend.jobs([row]))[0],
            spec=await self.store.read.spec(row),
            attempts=attempts,
            waiting=await self.foresight.waiting(row),
            after=after,
            before=before,
            sessions=await self.sessions(job),
            parent=said.parent,
            children=said.children,
            moves=await self.routes.moves(job),
            looks=await self.gates.looks(job),
            refused=await self.store.look(lambda tx: network.refused(tx, job)),
        )

    async def _attempt(self, tried: AttemptRow) -> Attempt:
        usage = await self.store.read.usage(tried.id)
        told = tried.as_attempt(usage, str(run_dir(self.home, tried.job, tried.number).path))
        if tried.ended_at is not None:
            return told
        meter = self._runner.meter
        took = meter.took(tried.id)
        return replace(
            told,
            now=meter.now(tried.id),
            limits=self._enforcer.told(meter.may(tried.id)),
            memory_peak=took.memory_peak,
            cpu_ms=took.cpu_ms,
            processes_peak=took.processes_peak,
        )

    async def sessions(self, job: int | None = None, limit: int = READ_LIMIT) -> list[Session]:
        """The conversations of a job, oldest first; or, without one, those used last."""
        if job is not None:
            await self.row(job)
        return await self.store.look(lambda tx: sessions.listed(tx, job, min(limit, READ_LIMIT)))

    async def explain(self, job: int) -> Explanation:
        return await self.foresight.explain(await self.row(job))

    async def caps(self) -> list[Cap]:
        """How many attempts run in each scope that has a cap, and who set it."""
        world = await self.store.look(self._dispatcher.world)
        by = await self.store.read.caps_by()
        return [
            Cap(scope=scope, limit=limit, running=world.running.get(scope, 0), source=by.get(scope, "headway.yaml"))
            for scope, limit in sorted(world.caps.items())
            if not scope.startswith("worker:")
        ]

    async def breakers(self) -> list[Breaker]:
        """The targets that have failed of late."""
        return sorted((await self.store.look(claims.breakers)).values(), key=lambda one: one.target)

    async def row(self, job: int) -> JobRow:
        found = await self.store.read.rows([job])
        if not found:
            raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
        return found[0]

    async def attempt_files(self, job: int, number: int | None) -> tuple[AttemptRow, RunDir]:
        """An attempt of a job and its run directory: the newest, or the one with that number."""
        await self.row(job)
        attempts = await self.store.read.attempts(job)
        if not attempts:
            raise NotStartedError(f"job {job} has not started yet")
        chosen = attempts[-1] if number is None else next((one for one in attempts if one.number == number), None)
        if chosen is None:
            raise NotFoundError(f"job {job} has no attempt {number}; its last is {attempts[-1].number}")
        return chosen, run_dir(self.home, job, chosen.number)

    async def agents_here(self, name: str | None, *, check: bool) -> list[AgentStatus]:
        """What each agent is on this machine, and whether its accounts are signed in."""
        return await accounts.survey(self.settings, self.agents, os.environ, name=name, check=check, home=self.home)

    async def has_ended(self, job: int, attempt: int) -> bool:
        """Whether an attempt has been settled, so that its output will not grow any more."""
        found = await self.store.read.attempts(job)
        return any(one.id == attempt and one.ended_at is not None for one in found)

    async def idle(self) -> bool:
        """Nothing runs, checks included, nothing would start by itself, and nobody works in a session."""
        if self._takeovers.open or self.races.busy or self.pipelines.busy or self.gates.busy:
            return False
        if await self.schedules.waits() or await self.merges.waits():
            return False
        counts = await self.store.read.counts()
        return counts.running == 0 and (counts.ready == 0 or await self.store.read.held_all() is not None)


def _no_process() -> None:
    raise RefusedError("this engine is no process of its own, and cannot start anew")
