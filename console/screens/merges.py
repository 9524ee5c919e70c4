"""Merges & pipelines: what is on its way to a branch, queue by queue, and how far each pipeline is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.fields import Field
from console.format import clean_line, job_name, plural
from console.messages import JobsChanged
from console.pipelines import stands
from console.roles import Part, Role
from console.screens.listing import ListScreen
from console.tabs import Tab
from console.transcript import Entry
from console.underway import FIELDS, Underway, queue_lines, rows_of, sign, told, why_line
from engine.errors import RefusedError
from engine.model import Pipeline, PipelineState, PipelineVerb

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from console.desk import Desk

#: Of each, of those that are over.
_NEWEST = 50


class MergesScreen(ListScreen[Underway]):
    """What waits and runs, then what is over."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.MERGES)
    SCOPES = frozenset({Scope.MERGES})
    OWN = Scope.MERGES
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "line"
    EVERY = 3.0  # the steps of a pipeline are no events of a job

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._over: dict[int, Pipeline] = {}

    async def read(self) -> Sequence[Underway]:
        client = self.desk.client
        merges, begun = await asyncio.gather(client.merges(_NEWEST), client.pipelines(_NEWEST))
        running = [one.id for one in begun if one.state is PipelineState.RUNNING]
        whole = {one.id: one for one in await asyncio.gather(*map(client.pipeline, running))}
        return rows_of(merges, [whole.get(one.id) or self._with_steps(one) for one in begun])

    def _with_steps(self, one: Pipeline) -> Pipeline:
        """One that is over, with its steps where they were read already: they stay as they are."""
        known = self._over.get(one.id)
        return known if known is not None and known.ended_at == one.ended_at else one

    def id_of(self, row: Underway) -> Hashable:
        return row.id

    def sign_of(self, row: Underway, now: int) -> Part:
        return sign(row, now)

    def concerns(self, event: JobsChanged) -> bool:
        return event.reordered

    def above_lines(self, now: int) -> Sequence[Sequence[Part]]:
        return queue_lines(self._all)

    def title_more(self, now: int) -> Sequence[Part]:
        asks = sum(row.card is not None for row in self._all)
        return [(f"!{asks} for you", Role.YOU)] if asks else []

    def line_of(self, row: Underway, now: int) -> Sequence[Part]:
        return [(f"{row.name}: ", sign(row, now)[1]), (clean_line(why_line(row)), Role.MUTED)]

    def told_of(self, row: Underway, now: int) -> list[Entry]:
        return told(row, now)

    async def look_up(self, row: Underway) -> list[Entry] | None:
        if row.pipeline is None or row.pipeline.steps:
            return None
        found = await self.desk.client.pipeline(row.pipeline.id)
        if found.ended_at is not None:
            self._over[found.id] = found
        return told(Underway(found), self.desk.clock())

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            (("   Nothing waits to be merged, and no pipeline was begun.", Role.TEXT),),
            (("   :merge", Role.KEY), (" in the queue puts the job under its cursor into the merge", Role.MUTED)),
            (("   queue of its branch. A pipeline begins in another terminal:", Role.MUTED),),
            (('   headway run code "what is to be done"', Role.KEY),),
        )  # fmt: skip

    # What the keys do

    def action_take_out(self) -> None:
        row = self.target()
        if row is None:
            return
        if row.pipeline is not None:
            self.work(self._cancel(row.pipeline))
        else:
            self.work(self._drop(row.what.id))

    async def _drop(self, number: int) -> None:
        async def call() -> str:
            dropped = await self.desk.client.drop_merge(number)
            return f"{job_name(dropped.job)} is not merged into {clean_line(dropped.target)}"

        await self._done_and_undone(call)

    async def _cancel(self, one: Pipeline) -> None:
        """A dry run says whom it stops, before it asks."""
        foreseen = await self.attempt(self._sent(one, PipelineVerb.CANCEL, dry_run=True))
        if foreseen is None:
            return
        if await self.ask.confirm(f"cancel pipeline {one.id}, {clean_line(one.title)}{foreseen}?"):
            await self._act(one, PipelineVerb.CANCEL)
        else:
            self.say("nothing was cancelled")

    def action_hold_pipeline(self) -> None:
        if (one := self._pipeline()) is not None:
            self.work(self._act(one, PipelineVerb.HOLD if one.held_by is None else PipelineVerb.RELEASE))

    def action_retry_pipeline(self) -> None:
        if (one := self._pipeline()) is not None:
            self.work(self._act(one, PipelineVerb.RETRY))

    def _pipeline(self) -> Pipeline | None:
        """The pipeline under the cursor; None, and why, where there is none."""
        row = self.target()
        if row is not None and row.pipeline is None:
            card = "; c answers its card" if row.card is not None else ""
            self.say(f"{row.name} is no pipeline{card}", Role.WAIT)
        return row.pipeline if row is not None else None

    async def _act(self, one: Pipeline, verb: PipelineVerb) -> None:
        async def call() -> str:
            return f"pipeline {one.id} is {await self._sent(one, verb)}"

        await self._done_and_undone(call)

    async def _sent(self, one: Pipeline, verb: PipelineVerb, *, dry_run: bool = False) -> str:
        """How it stands then, and with how many jobs; of a dry run only those."""
        self.desk.require_engine()
        done = await self.desk.client.act_on_pipeline(one.id, verb, dry_run=dry_run)
        jobs = f", with {plural(len(done.jobs), 'job')}" if done.jobs else ""
        stopping = f", {plural(len(done.stopping), 'agent')} stopped" if done.stopping else ""
        return f"{'' if dry_run else stands(done.pipeline)}{jobs}{stopping}"

    async def _done_and_undone(self, call: Callable[[], Awaitable[str]]) -> None:
        said = await self.attempt(self._asked(call))
        if said is not None:
            self.say(said, undo=True)
            self.reload()

    def action_underway_job(self) -> None:
        row = self.table.row
        if row is None:
            self.say("no line here")
        elif row.job is not None:
            cast("ConsoleApp", self.app).open_job(row.job, Tab.LOG)
        elif row.pipeline is not None and not row.pipeline.steps:
            self.work(self._open_last(row.pipeline.id))
        else:
            self.say(f"{row.name} has no job yet")

    async def _open_last(self, number: int) -> None:
        """Steps of what is over are read when they are asked for."""
        found = await self.attempt(self.desk.client.pipeline(number))
        if found is None:
            return
        job = Underway(found).job
        if job is None:
            self.say(f"pipeline {number} has had no job")
        else:
            cast("ConsoleApp", self.app).open_job(job, Tab.LOG)

    def action_underway_card(self) -> None:
        row = self.target()
        if row is not None and row.card is None:
            self.say(f"{row.name} asks nothing")
        elif row is not None and row.card is not None:
            self.work(self._to_card(row.card))

    async def _to_card(self, card: int) -> None:
        job = await self.attempt(self._job_of(card))
        if job is not None:
            cast("ConsoleApp", self.app).open_card(job)

    async def _job_of(self, card: int) -> int:
        self.desk.require_engine()
        found = next((one for one in await self.desk.client.inbox() if one.id == card), None)
        if found is None:
            raise RefusedError(f"card {card} is answered, or put aside")
        return found.job
