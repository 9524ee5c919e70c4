"""Runs attempts: each from its claim to its settlement, or from its adoption.

One coroutine an attempt and no thread. When the engine stops, the coroutines are cancelled and the agents run on; the
next engine adopts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from engine.agents.base import Agent, Outcome
from engine.clock import now_ms
from engine.dispatch.settling import Ending
from engine.errors import CredentialError, HeadwayError, RefusedError
from engine.logs import About, about
from engine.model import Failure
from engine.money import Entry
from engine.passing import cleaned
from engine.permission import Policy, configured
from engine.runner import cut as cuts
from engine.runner import kit, leaving, limits, resources
from engine.runner.attending import Attendant, Rulebook
from engine.runner.briefer import Brief, earlier_of
from engine.runner.clerk import Clerk
from engine.runner.cut import ASKED, Cut
from engine.runner.ending import End, by_limit, grace_of, outcome_of, until_end
from engine.runner.ground import Elsewhere, Ground, NoGroundError
from engine.runner.launch import Plan, facts
from engine.runner.limits import Halt, Limits, Past
from engine.runner.live import Live, Surroundings
from engine.runner.masking import MaskedFile
from engine.runner.meter import Meter, recent_peaks
from engine.runner.purse import Purse
from engine.runner.record import Record
from engine.runner.run_dir import run_dir
from engine.runner.taking_over import TakingOver, here_of
from engine.runner.uses import Uses
from engine.runner.watch import TOLD, Watch
from engine.runner.workspace import Placed
from engine.spend.budgets import Means
from engine.store import (
    budgets,
    cards,
    given,
    jobs,
    sessions,
    tools,
    windows,
)
from engine.store.claims import Claim
from engine.store.sessions import Heard
from engine.tap.verdict import with_refusal
from engine.window import Reading

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What goes by: a full disk, no descriptors, no memory, no more processes.
PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})


class Runner:
    """Owns all attempts of an engine. `settled` is called after each settlement: a slot is free."""

    def __init__(
        self,
        around: Surroundings,
        group: asyncio.TaskGroup,
        settled: Callable[[], None],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._around = around
        self._elsewhere = elsewhere
        self._group = group
        self._settled = settled
        self._tasks: set[asyncio.Task[object]] = set()
        self.live: dict[int, Live] = {}
        """By job."""
        self.meter = Meter(around.launcher.settings, around.launcher.agents)
        settings = around.launcher.settings
        self._book = Rulebook(Policy.of(settings), configured(settings))
        self._clerk = Clerk(around, self.meter, self._forget, settled)
        self._keep(group.create_task(self.meter.run(), name="meter"))

    def start(self, claim: Claim) -> None:
        """Begin a claimed attempt."""
        self._own(claim, self._begin)

    def stop(self, job: int) -> None:
        """Ask for a job's running attempt to be ended. Its settlement tells when nothing of it is left."""
        if (live := self.live.get(job)) is not None:
            live.stop_asked.set()

    def answered(self) -> None:
        """The operator has answered something."""
        for live in self.live.values():
            if live.attendant is not None:
                live.attendant.poke()

    def reported(self, job: int, attempt: int, line: str) -> None:
        """The agent has said how far it is."""
        if (watch := self._watch_of(job, attempt)) is not None:
            watch.reported(line)

    def waits(self, job: int, attempt: int, *, open: bool) -> None:
        """A call of an attempt waits for the operator, or does not any more: its clocks stand still meanwhile."""
        if (watch := self._watch_of(job, attempt)) is not None:
            watch.wait(open=open, who=TOLD)

    def _watch_of(self, job: int, attempt: int) -> Watch | None:
        live = self.live.get(job)
        return live.watch if live is not None and live.claim.attempt.id == attempt else None

    def let_go(self) -> None:
        """Look after nothing any more. The agents run on, for the next engine to adopt."""
        for task in tuple(self._tasks):
            task.cancel()

    async def take_over(self, claims: list[Claim]) -> None:
        """Adopt, settle or give back what an earlier engine left. Returns when each has been judged."""
        self.meter.learn(await self._around.store.look(recent_peaks))
        taking = TakingOver(self._around, self._clerk, self._elsewhere, self._own, self._watch, self._begin_task)
        await taking.all(claims)

    def _begin_task(self, what: Coroutine[object, object, None]) -> None:
        self._keep(self._group.create_task(what))

    def _own(self, claim: Claim, life: Callable[[Live], Awaitable[None]]) -> None:
        live = Live(claim, run_dir(self._around.home, claim.job.id, claim.attempt.number))
        if claim.job.stopping is not None or claim.parking:
            live.stop_asked.set()
        self.live[claim.job.id] = live
        self.meter.expect(claim.attempt.id, claim.attempt.agent)
        if self._elsewhere is not None:
            self._elsewhere.expect(claim)
        self._keep(self._group.create_task(self._guard(live, life), name=f"job-{claim.job.id}"))

    async def _guard(self, live: Live, life: Callable[[Live], Awaitable[None]]) -> None:
        """The edge of an attempt's task: what goes wrong in it is written to the job, and ends only the job."""
        claim = live.claim
        about.set(About(claim.job.id, claim.attempt.number))
        try:
            await life(live)
        except NoGroundError as error:
            logger.warning("job %d: %s; it is tried again later", claim.job.id, error)
            await self._clerk.abandon(live, Failure.SPAWN_FAILED, str(error), short=True)
        except HeadwayError as error:
            logger.warning("job %d: %s", claim.job.id, error)
            failure = Failure.AUTH if isinstance(error, CredentialError) else Failure.SPAWN_FAILED
            await self._clerk.abandon(live, failure, str(error))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in PASSING and not live.begun:
                logger.warning("job %d: %s; it is tried again later", claim.job.id, error)
                reason = f"this machine was short of something: {error.strerror}"
                await self._clerk.abandon(live, Failure.SPAWN_FAILED, reason, short=True)
            else:
                logger.exception("job %d: the engine failed", claim.job.id)
                await self._clerk.abandon(live, Failure.UNKNOWN, f"the engine failed: {type(error).__name__}: {error}")
        finally:
            self._forget(live)
            if self._elsewhere is not None:
                self._elsewhere.forget(claim)
            self._around.hub.forget(claim.attempt.id)
            if self._around.launcher.tap is not None:
                self._around.launcher.tap.close(claim.attempt.id)

    async def _begin(self, live: Live) -> None:
        claim, launcher = live.claim, self._around.launcher
        plan = await launcher.plan(claim, live.run, await earlier_of(self._around.store, claim))
        if self._elsewhere is not None and self._elsewhere.takes(claim, plan) and not live.stop_asked.is_set():
            await self._begin_elsewhere(live, self._elsewhere, plan)
            return
        if self._elsewhere is not None:
            self._elsewhere.forget(claim)
        prepared = await launcher.equip(claim, live.run, plan)
        if live.stop_asked.is_set():
            await kit.take_away(live.run)
            await self._clerk.tidy(live, prepared.placed)
            outcome = Outcome(succeeded=False, failure=Failure.CRASHED, reason="cancelled before it started")
            await self._clerk.settle(live, Ending(outcome, began=False))
            return
        await self._keep_told(claim, prepared.brief)
        whole = launcher.start(claim, live.run, prepared)
        live.begun, live.session = True, prepared.brief.talk.begun.session
        await self._clerk.note_launch(claim, whole.root.pid if whole.root else 0, facts(prepared), live.run)
        await launcher.used(claim, prepared.brief)
        await self._watch(live, prepared.agent, here_of(self._around, claim, whole), prepared.placed)

    async def _keep_told(self, claim: Claim, brief: Brief) -> None:
        """Write down what a new session begins with, before it does."""
        if brief.handoff:
            talk = brief.talk
            passed = cleaned(talk.passed, self._around.launcher.secrets)
            await self._clerk.persist(lambda tx: leaving.keep_told(tx, claim, passed, talk.others))

    async def _begin_elsewhere(self, live: Live, elsewhere: Elsewhere, plan: Plan) -> None:
        """The same on another machine. What was made for it here stays, for what it does there to come home to."""
        claim, launcher = live.claim, self._around.launcher
        await self._keep_told(claim, plan.brief)
        try:
            noted, pid, live.ground = await elsewhere.begin(claim, live.run, plan)
        except (HeadwayError, OSError):
            await launcher.give_up(claim, live.run, plan.placed)
            raise
        live.begun, live.session = True, plan.brief.talk.begun.session
        await self._clerk.note_launch(claim, pid, noted, live.run)
        await launcher.used(claim, plan.brief)
        await self._watch(live, launcher.agent(claim.attempt.agent), live.ground, plan.placed)

    async def _reader(self, live: Live, agent: Agent) -> tuple[Watch, Record]:
        """What reads an attempt's output, and what reads the agent's own record beside it."""
        around, tried, noted = self._around, live.claim.attempt, live.run.facts()
        resumed = noted is not None and (noted.resumes is not None or noted.session == tried.resumes is not None)
        parser = agent.parser(model=tried.model, resumed=resumed)
        window = None
        if agent.resumable:
            window = await around.store.look(lambda tx: sessions.window_of(tx, tried.agent, tried.model))
        tell = partial(self._see_session, tried.id)
        see = partial(self._see_limits, tried.target.paid_by)
        watch = Watch(tried.job, tried.id, tried.target, parser, around.hub, see, tell, window)
        watch.uses = Uses.of(kit.read_kit(live.run))
        return watch, Record(noted.record if noted else None, noted.recorded if noted else 0, watch.recorded)

    async def _watch(self, live: Live, agent: Agent, ground: Ground, placed: Placed) -> None:
        """Follow a running attempt to its end, clear up after it, and settle it."""
        around, claim = self._around, live.claim
        watch, record = await self._reader(live, agent)
        live.watch, live.ground = watch, ground
        tap = around.launcher.tap
        if tap is not None and (door := tap.door(claim.attempt.id)) is not None:
            door.listen(watch.tapped)

        def sink(lines: list[bytes]) -> None:
            watch.sink(lines)
            record.read(watch.session)

        began, printed = await self._since(live, ground, watch)
        masks = [MaskedFile(one, around.launcher.secrets) for one in (live.run.stdout, live.run.stderr)]
        newest_only = watch.parser.newest_only
        around.follower.add(claim.attempt.id, live.run.stdout, sink, newest_only=newest_only, masks=masks)
        # What an engine before this one had begun to end is not given more time.
        cut = cuts.noted(live.run) if ground.adopted else None
        end = End(stopped=cut is not None, cut=cut)
        runs = ground.runs()
        attending = self._attend(live, agent, ground, watch, placed, printed) if runs and cut is None else None
        means = await self._means(claim)
        purse = self._purse(claim, watch, means)
        paying = self._group.create_task(self._guarded(purse.run), name=f"pay-{claim.attempt.id}")
        try:
            if runs and cut is not None:
                await ground.stop(grace_of(cut, around.grace))
            elif runs:
                end = await self._until_end(live, agent, ground, watch, began, (purse, means))
        finally:
            if attending is not None:
                attending.cancel()
            paying.cancel()
            await around.follower.finish(claim.attempt.id)
            await record.finish(watch.session)
            watch.close()
        may = resources.allowed(claim, around.launcher.settings)
        held_to = ground.verdict(may, self.meter.peak(claim.attempt.id))
        self.meter.used(claim.attempt.id, await ground.clear(around.grace))
        end = replace(end, lost=ground.lost)
        if watch.uses.seen:
            await self._clerk.persist(lambda tx: given.used(tx, claim.attempt.id, watch.uses.seen))
        outcome, code = outcome_of(live.run, watch, end)
        outcome = by_limit(outcome, held_to or resources.by_signal(may, code), said=watch.parser.said_done)
        diff = await self._clerk.measure(live, placed)
        outcome = with_refusal(watch.judged(outcome, diff), watch.refusal)
        ending = self._ending(live, agent, placed, outcome)
        ending = replace(ending, exit_code=code, diff=diff, heard=watch.told, spent=await purse.all())
        parked = end.cut is not None and end.cut.parks and outcome.failure is Failure.BUDGET_EXCEEDED
        ending = replace(ending, own=means.own, parked=parked)
        if diff is not None and diff.whole and diff.files == 0 and await self._clerk.ends(live, ending):
            await self._clerk.tidy(live, placed, ended=True)
        await self._leave(live, ending)
        await self._clerk.settle(live, ending)

    async def _leave(self, live: Live, ending: Ending) -> None:
        """Write down what the attempt leaves for the next one."""
        around, claim = self._around, live.claim
        launcher = around.launcher
        note = await leaving.left_behind(around.home, claim, launcher.agents, ending, launcher.secrets)
        if note is not None:
            cause = leaving.occasion(ending, stopped=live.stop_asked.is_set())
            await self._clerk.persist(lambda tx: leaving.keep(tx, claim, note, cause))

    async def _since(self, live: Live, ground: Ground, watch: Watch) -> tuple[float, int]:
        """When the attempt began, by the monotonic clock, and how much it has printed by now.

        An adopted one did before this engine looked; what it waited for the operator meanwhile does not count.
        """
        attempt = live.claim.attempt
        past = ground.past(attempt.started_at) if ground.adopted else Past()
        if ground.adopted:
            spans = await self._around.store.look(lambda tx: cards.waits(tx, attempt.id))
            waits = any(end is None for _, end in spans)
            watch.halt = Halt(limits.waited(spans, now_ms()))
            quiet = 0.0 if waits else past.quiet
            watch.adopt(quiet, lambda: self._around.follower.position(attempt.id) > past.printed)
            watch.wait(open=waits, who="output" if ground.talks else TOLD)
            if (told := await self._around.store.look(lambda tx: tools.reported(tx, attempt.id))) is not None:
                watch.reported(told.line)
        return time.monotonic() - past.ran, past.printed

    def _attend(
        self, live: Live, agent: Agent, ground: Ground, watch: Watch, placed: Placed, printed: int
    ) -> asyncio.Task[None] | None:
        """Bring what the agent asks before the operator, where it was started so that it can be answered."""
        if not agent.asks or not ground.talks:
            return None
        attempt, position = live.claim.attempt.id, self._around.follower.position
        place, secrets = str(placed.directory), self._around.launcher.secrets
        live.attendant = Attendant(
            live.claim, live.run, ground, agent, watch, place, self._book, self._clerk.persist, secrets
        )
        task = self._group.create_task(
            self._guarded(partial(live.attendant.run, lambda: position(attempt) >= printed)), name=f"attend-{attempt}"
        )
        self._keep(task)
        return task

    async def _means(self, claim: Claim) -> Means:
        """What an attempt may spend of."""
        all_ = self._around.rules.budgets
        said, job = claim.spec.budget, claim.job
        own = None
        if said is not None or all_.job is not None or (all_.usual and job.kind is not None):
            own = await self._around.store.look(lambda tx: budgets.own_of(tx, job, said, all_))
        return Means(all_, own)

    def _purse(self, claim: Claim, watch: Watch, means: Means) -> Purse:
        """What brings the attempt's money into the ledger as it is told."""
        attempt = claim.attempt.id

        async def write(entries: Sequence[Entry]) -> Sequence[str]:
            paid = await self._clerk.persist(lambda tx: jobs.spent(tx, attempt, entries, means))
            watch.paid(paid.usage)
            return paid.used_up

        purse = Purse(watch.parser, claim.attempt.target, self._around.prices, write)
        watch.counted = purse.look
        purse.look()  # its first lines may have been read before
        return purse

    async def _guarded(self, attending: Callable[[], Awaitable[None]]) -> None:
        """The edge of a task beside an attempt: what goes wrong in it does not end the attempt."""
        try:
            await attending()
        except Exception:
            logger.exception("what an agent asks or uses could not be followed")

    async def _until_end(
        self, live: Live, agent: Agent, ground: Ground, watch: Watch, began: float, paying: tuple[Purse, Means]
    ) -> End:
        """Until the process has ended, by itself, because it was asked to, or because a limit is reached."""
        settings, attempt = self._around.launcher.settings, live.claim.attempt.id
        allowed = Limits.of(live.claim, agent, settings)
        ground.measure(self.meter, attempt, resources.allowed(live.claim, settings))

        async def asked() -> Cut | None:
            await live.stop_asked.wait()
            return ASKED

        async def lingers() -> Cut | None:
            linger = settings.agent(agent.name).linger
            await watch.overdue(linger if agent.lingers is None else min(linger, agent.lingers))
            return None

        purse, means = paying
        calls = (
            asked(),
            purse.over(watch.paused, partial(self._used_up, live.claim, means)),
            lingers(),
            limits.overrun(allowed, began, lambda: watch.heard, watch.halt),
            self.meter.over(attempt),
        )
        return await until_end(ground, live.run, calls, self._around.grace)

    async def _used_up(self, claim: Claim, means: Means) -> Sequence[str]:
        """The budgets of an attempt in which nothing more may be spent now: the operator may have answered."""
        return await self._around.store.look(lambda tx: budgets.used_up(tx, claim.job, claim.attempt, means))

    def _ending(self, live: Live, agent: Agent, placed: Placed, outcome: Outcome) -> Ending:
        """What the settlement has to know of an attempt that ran."""
        session = outcome.session or live.session
        lost = live.ground.lost if live.ground is not None else None
        took = self.meter.took(live.claim.attempt.id)
        return Ending(
            outcome,
            memory_peak=took.memory_peak,
            cpu_ms=took.cpu_ms,
            processes_peak=took.processes_peak,
            resumable=agent.resumable and session is not None and placed.directory.is_dir() and lost is None,
            restorable=placed.repository is not None and placed.base is not None and not live.claim.job.within,
            harmless=not agent.effects,
            provider=agent.provider,
            gate=self._around.rules.gates.gate(live.claim.spec, live.claim.job.project, agent.name),
        )

    def _see_limits(self, account: str, readings: list[Reading]) -> None:
        async def tell() -> None:
            if await self._clerk.persist(lambda tx: windows.record(tx, account, readings)):
                self._settled()  # what a window kept from starting may start, or wait for less long

        self._keep(self._group.create_task(tell()))

    def _see_session(self, attempt: int, what: Heard) -> None:
        async def tell() -> None:
            with contextlib.suppress(RefusedError):  # it has been settled meanwhile, with all that was heard
                await self._clerk.persist(lambda tx: jobs.heard(tx, attempt, what))

        self._keep(self._group.create_task(tell()))

    def _keep(self, task: asyncio.Task[object]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, live: Live) -> None:
        if self.live.get(live.claim.job.id) is live:
            del self.live[live.claim.job.id]
        self.meter.release(live.claim.attempt.id)
