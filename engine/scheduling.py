"""The engine's schedules: the operator's verbs on them, and the loop that submits jobs at their times."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from functools import partial

from msgspec.structs import replace

from engine.agents.base import Agent
from engine.alarm import Alarm
from engine.clock import now_ms
from engine.config import Settings
from engine.config.schedules import wrong_in
from engine.dispatch.routebook import NOTHING, Routebook
from engine.documents import nearest
from engine.errors import NotFoundError, RefusedError, StorageError, UsageError
from engine.model import TAG, JobSpec
from engine.schedule import (
    FILE,
    NAME_LIMIT,
    Kept,
    Schedule,
    ScheduleAnswer,
    ScheduleDetail,
    ScheduleOrder,
    ScheduleSpec,
    ScheduleVerb,
)
from engine.store import Store, Transaction, actions, firing, schedules
from engine.store.actions import Inverse
from engine.store.schedules import Stored
from engine.store.submit import Accepted
from engine.store.writer import RollbackError
from engine.submission import accept
from engine.timetable import SET_BACK_MS, in_words, plan, upcoming

logger = logging.getLogger(__name__)

STORAGE_RETRY_MS = 5_000  #: between looks while the store cannot be written
MEND_MS = 60_000  #: until one is looked at again that could not be
HISTORY = 20  #: of a schedule's times that are told


class Schedules:
    """One for an engine. `wake` is called after each submission, `stop` for each job that is to be ended."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        agents: Mapping[str, Agent],
        *,
        book: Routebook = NOTHING,
        wake: Callable[[], None],
        stop: Callable[[int], None],
        draining: Callable[[], bool] = lambda: False,
        clock: Callable[[], int] = now_ms,
        dress: Callable[[JobSpec], JobSpec] = lambda spec: spec,
    ) -> None:
        self._store = store
        self._settings = settings
        self._agents = agents
        self._book = book
        self._wake = wake
        self._stop = stop
        self._draining = draining
        self._clock = clock
        self._dress = dress
        self._alarm: Alarm | None = None

    # ---- what can be read

    async def every(self, count: int = 1) -> list[Schedule]:
        """All of them by name, each with so many of its next times."""
        return [await self._told(one, count) for one in await self._store.look(schedules.every)]

    async def detail(self, name: str, count: int) -> ScheduleDetail:
        """One of them, with so many of its next times, and what became of its newest. Raises `NotFoundError`."""
        stored = await self._stored(name)
        past = await self._store.look(lambda tx: schedules.firings(tx, name, HISTORY))
        return ScheduleDetail(schedule=await self._told(stored, count), firings=past)

    async def waits(self) -> bool:
        """Whether one of them will submit something."""
        return await self._store.look(schedules.next_due) is not None

    # ---- the operator's verbs

    async def act(self, name: str, order: ScheduleOrder, by: str) -> ScheduleAnswer:
        """Carry one out. A dry run does the same and takes it back.

        Raises `NotFoundError`, `RefusedError` for what is said in headway.yaml, and `UsageError` for a spec that
        says nothing, or whose job would not be accepted.
        """
        if order.verb is ScheduleVerb.RUN:
            return await self._run_now(name, by, order)
        stored = await self._store.look(lambda tx: schedules.one(tx, name))
        if stored is None and order.verb is not ScheduleVerb.ADD:
            raise await self._unknown(name)
        kept = self._wanted(name, order, by, stored)

        def change(tx: Transaction) -> tuple[int, Stored | None]:
            if schedules.one(tx, name) != stored:
                raise RefusedError(f"the schedule {name} has changed meanwhile: look at it again")
            schedules.put(tx, name, kept, by)
            was = stored.kept if stored is not None else None
            number = actions.note(tx, f"schedule {order.verb}", by, (), Inverse(schedule=name, was=was, now=kept))
            if order.dry_run:
                raise RollbackError((number, schedules.one(tx, name)))
            return number, schedules.one(tx, name)

        number, after = await self._store.write(change)
        if not order.dry_run:
            self.wake()
        return ScheduleAnswer(
            verb=order.verb,
            name=name,
            schedule=await self._told(after, order.upcoming) if after is not None else None,
            action=None if order.dry_run else number,
            dry_run=order.dry_run,
        )

    def wake(self) -> None:
        """Something about them has changed."""
        if self._alarm is not None:
            self._alarm.wake()

    def _wanted(self, name: str, order: ScheduleOrder, by: str, stored: Stored | None) -> Kept | None:
        """What is kept after a verb; None for nothing."""
        verb, spec = order.verb, order.spec
        if verb is ScheduleVerb.ADD:
            if stored is not None:
                raise RefusedError(f"there is a schedule {name!r} already; `headway schedules edit {name}` changes it")
            if not re.fullmatch(TAG, name) or len(name) > NAME_LIMIT:
                wrong = f"{name[:NAME_LIMIT]!r} is no name for a schedule"
                raise UsageError(f"{wrong}: letters, digits and . _ / -, at most {NAME_LIMIT}")
            return Kept(spec=self._checked(spec), by=by)
        assert stored is not None
        if stored.kept.by == FILE and verb in (ScheduleVerb.EDIT, ScheduleVerb.REMOVE):
            raise RefusedError(f"{name!r} is said in headway.yaml: change it there, and start the engine again")
        if verb is ScheduleVerb.REMOVE:
            return None
        if verb is ScheduleVerb.EDIT:
            return replace(stored.kept, spec=self._checked(spec))
        paused = stored.kept.paused_by
        if verb is ScheduleVerb.PAUSE:
            if paused is not None:
                raise RefusedError(f"{name!r} is paused already, by {paused}")
            return replace(stored.kept, paused_by=by)
        if paused is None:
            raise RefusedError(f"{name!r} is not paused")
        return replace(stored.kept, paused_by=None)

    async def _run_now(self, name: str, by: str, order: ScheduleOrder) -> ScheduleAnswer:
        stored = await self._stored(name)
        if self._draining():
            raise RefusedError("the engine is draining and takes no new jobs")
        job = self._accepted(stored.kept.spec)

        def submit(tx: Transaction) -> int:
            number = firing.run_now(tx, stored, job, by)
            if order.dry_run:
                raise RollbackError(number)
            return number

        number = await self._store.write(submit)
        if not order.dry_run:
            self._wake()
        told = await self._told(stored, order.upcoming)
        submitted = None if order.dry_run else number
        return ScheduleAnswer(verb=order.verb, name=name, schedule=told, job=submitted, dry_run=order.dry_run)

    def _checked(self, spec: ScheduleSpec | None) -> ScheduleSpec:
        """Raises `UsageError` for the first thing that is wrong."""
        if spec is None:
            raise UsageError("say what is wanted: a cron line and a job")
        for keys, wrong in wrong_in(spec):
            raise UsageError(f"{'.'.join(keys)}: {wrong}")
        self._accepted(spec)
        return spec

    def _accepted(self, spec: ScheduleSpec) -> Accepted:
        """Raises `UsageError`."""
        try:
            return accept([self._dress(spec.job)], self._settings, self._agents.keys(), self._clock(), self._book)[0]
        except UsageError as error:
            raise UsageError(f"job: {error.message}") from None

    async def _stored(self, name: str) -> Stored:
        stored = await self._store.look(lambda tx: schedules.one(tx, name))
        if stored is None:
            raise await self._unknown(name)
        return stored

    async def _unknown(self, name: str) -> NotFoundError:
        known = [one.name for one in await self._store.look(schedules.every)]
        hint = nearest(name, known) if known else "there are none: `headway schedules add NAME`"
        return NotFoundError(f"there is no schedule {name!r}; {hint}")

    async def _told(self, stored: Stored, count: int) -> Schedule:
        kept, now = stored.kept, self._clock()
        past = await self._store.look(lambda tx: schedules.firings(tx, stored.name, 1))
        problem = None
        try:
            self._accepted(kept.spec)
        except UsageError as error:
            problem = error.message
        paused = kept.paused_by is not None
        after = max(stored.last_fire_at, now) if paused else stored.last_fire_at
        moments = await asyncio.to_thread(upcoming, stored.name, kept.spec, stored.zone, after, now, count)
        return Schedule(
            name=stored.name,
            spec=kept.spec,
            by=kept.by,
            zone=stored.zone,
            says=in_words(kept.spec.cron),
            added_at=stored.added_at,
            paused_by=kept.paused_by,
            last_fire_at=past[0].fire_at if past else None,
            last=past[0] if past else None,
            next=[] if paused else moments,
            problem=problem,
        )

    # ---- at their times

    async def run(self) -> None:
        """Until cancelled. Sleeps to the next time of any of them, and takes no turn in between."""
        self._alarm = alarm = Alarm()
        read = False
        try:
            while True:
                try:
                    if not read:
                        await self._keep_to_the_file()
                    read = True
                    at = await self.turn()
                except StorageError as error:
                    logger.error("schedules: %s; looking again in %d s", error, STORAGE_RETRY_MS // 1000)
                    at = self._clock() + STORAGE_RETRY_MS
                await alarm.until(at, self._clock())
        finally:
            alarm.close()
            self._alarm = None

    async def turn(self) -> int | None:
        """Let all that is due come; when the next is, or None."""
        if self._draining():
            return None
        for stored in await self._store.look(schedules.due):
            try:
                await self._come(stored)
            except StorageError:
                raise
            except Exception:
                logger.exception("schedule %s: it is looked at again in %d s", stored.name, MEND_MS // 1000)
                await self._store.write(partial(schedules.put_off, stored=stored, until=self._clock() + MEND_MS))
        return await self._store.look(schedules.next_due)

    async def _come(self, stored: Stored) -> None:
        now, spec = self._clock(), stored.kept.spec
        if stored.last_fire_at > now + SET_BACK_MS:
            logger.warning("schedule %s: the clock was set back: its times count from now on", stored.name)
            await self._store.write(lambda tx: schedules.begin_anew(tx, stored))
            return
        made = await asyncio.to_thread(plan, stored.name, spec, stored.zone, stored.last_fire_at, now)
        job: Accepted | str = ""
        if made.fires:
            try:
                job = await asyncio.to_thread(self._accepted, spec)
            except UsageError as error:
                job = error.message
        done = await self._store.write(lambda tx: firing.come(tx, stored, made, job))
        for one in done.stopping:
            self._stop(one)
        if done.jobs or done.stopping:
            self._wake()

    async def _keep_to_the_file(self) -> None:
        wanted = {name: Kept(spec=spec, by=FILE) for name, spec in self._settings.schedules.items()}
        await self._store.write(lambda tx: schedules.keep_to(tx, wanted))
