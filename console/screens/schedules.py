"""Schedules: when each comes next and what came of it last; run, pause, edit, add and remove."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.fields import Field
from console.format import age, clean_line, job_name
from console.messages import JobsChanged
from console.roles import Part, Role
from console.screens.editing import edit
from console.screens.listing import ListScreen
from console.tabs import Tab
from console.timetable import FIELDS, ScheduleRow, as_yaml, sign, template, told, told_whole, when
from console.transcript import Entry
from engine.documents import parse
from engine.schedule import ScheduleAnswer, ScheduleOrder, ScheduleSpec, ScheduleVerb

if TYPE_CHECKING:
    from console.app import ConsoleApp

_PAST = {
    ScheduleVerb.ADD: "added", ScheduleVerb.EDIT: "changed", ScheduleVerb.REMOVE: "removed",
    ScheduleVerb.PAUSE: "paused", ScheduleVerb.RESUME: "resumed", ScheduleVerb.RUN: "submitted",
}  # fmt: skip


class SchedulesScreen(ListScreen[ScheduleRow]):
    """All schedules by name."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.SCHEDULES)
    SCOPES = frozenset({Scope.SCHEDULES})
    OWN = Scope.SCHEDULES
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "schedule"
    EVERY = 30.0

    async def read(self) -> Sequence[ScheduleRow]:
        client = self.desk.client
        schedules = await client.schedules()
        wanted = [one.last.job for one in schedules if one.last is not None and one.last.job is not None]
        jobs = {job.id: job for job in await client.rows(wanted)} if wanted else {}
        return [ScheduleRow(one, jobs.get(one.last.job or 0) if one.last else None) for one in schedules]

    def id_of(self, row: ScheduleRow) -> Hashable:
        return row.name

    def sign_of(self, row: ScheduleRow, now: int) -> Part:
        return sign(row, now)

    def concerns(self, event: JobsChanged) -> bool:
        return event.added > 0 or any(row.job is not None and row.job.id in event.ids for row in self._all)

    def title_more(self, now: int) -> Sequence[Part]:
        coming = [row.next_at for row in self._all if row.next_at is not None]
        return [(f"next in {age(min(coming) - now, 5)}", Role.MUTED)] if coming else []

    def line_of(self, row: ScheduleRow, now: int) -> Sequence[Part]:
        one = row.schedule
        at = (
            f"next {when(row.next_at, one.zone, now)}" if row.next_at is not None else "paused" if one.paused_by else ""
        )
        return [(f"{one.says}  ", Role.MUTED), (at, Role.TEXT), (f"  {clean_line(one.problem or '')}", Role.FAILED)]

    def told_of(self, row: ScheduleRow, now: int) -> list[Entry]:
        return told(row, now)

    async def look_up(self, row: ScheduleRow) -> list[Entry]:
        return told_whole(row, await self.desk.client.schedule(row.name), self.desk.clock())

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            (("   Nothing is scheduled. ", Role.TEXT), ("a", Role.KEY), (" adds one; elsewhere:", Role.MUTED)),
            (("   headway schedules add nightly --cron '0 2 * * *' \"review what changed\"", Role.KEY),),
        )  # fmt: skip

    # What the keys do

    def action_run_schedule(self) -> None:
        if (row := self.target()) is not None:
            self._order(row.name, ScheduleOrder(verb=ScheduleVerb.RUN))

    def action_pause_schedule(self) -> None:
        if (row := self.target()) is not None:
            paused = row.schedule.paused_by is not None
            self._order(row.name, ScheduleOrder(verb=ScheduleVerb.RESUME if paused else ScheduleVerb.PAUSE))

    def action_schedule_job(self) -> None:
        row = self.table.row
        last = row.schedule.last if row is not None else None
        if last is None or last.job is None:
            self.say("it has submitted no job yet" if row is not None else "no schedule here")
        else:
            cast("ConsoleApp", self.app).open_job(last.job, Tab.LOG)

    def _order(self, name: str, order: ScheduleOrder) -> None:
        self.work(self._ordered(name, order))

    async def _ordered(self, name: str, order: ScheduleOrder) -> None:
        await self.done(lambda: self._sent(name, order))

    async def _sent(self, name: str, order: ScheduleOrder) -> str:
        answer: ScheduleAnswer = await self.desk.client.order_schedule(name, order)
        said = f"{answer.name} {_PAST[answer.verb]}"
        if answer.job is not None:
            return f"{said}: {job_name(answer.job)}"
        upcoming = answer.schedule.next if answer.schedule is not None else []
        now = self.desk.clock()
        return (
            f"{said}; next in {age(upcoming[0] - now)}" if upcoming and answer.verb is not ScheduleVerb.PAUSE else said
        )

    def action_edit_schedule(self) -> None:
        if (row := self.target()) is not None:
            self.work(self._edit(row.name, row.schedule.spec))

    async def _edit(self, name: str, spec: ScheduleSpec) -> None:
        if await edit(self, as_yaml(spec), ".yaml", lambda text: self._taken(name, ScheduleVerb.EDIT, text)):
            self.reload()

    async def _taken(self, name: str, verb: ScheduleVerb, text: str) -> str:
        return await self._sent(name, ScheduleOrder(verb=verb, spec=parse(text, name, ScheduleSpec)))

    def action_add_schedule(self, name: str = "") -> None:
        if name:
            self.work(self._add(name))
        else:
            self.ask_for("name of the new schedule:", "", lambda text: self.action_add_schedule(text) if text else None)

    async def _add(self, name: str) -> None:
        if await edit(self, template(), ".yaml", lambda text: self._taken(name, ScheduleVerb.ADD, text)):
            self.reload()

    def action_remove_schedule(self) -> None:
        if (row := self.target()) is not None:
            self.work(self._remove(row.name))

    async def _remove(self, name: str) -> None:
        if await self.ask.confirm(f"remove the schedule {clean_line(name)}? its jobs stay"):
            await self._ordered(name, ScheduleOrder(verb=ScheduleVerb.REMOVE))
        else:
            self.say("nothing was removed")
