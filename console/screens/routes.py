"""Routing: rules in the order in which they are matched, where a job would go, how targets do, and races."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.commands import read_job
from console.fields import Field
from console.format import clean_line, job_name
from console.messages import JobsChanged
from console.roles import Part, Role
from console.routing import FIELDS, RouteRow, board_entries, choice_entries, role, rows_of, sign, told
from console.screens.listing import ListScreen
from console.transcript import Entry
from engine.errors import UsageError
from engine.model.route import RouteChoice, RouteQuery


class RoutesScreen(ListScreen[RouteRow]):
    """The routes of headway.yaml, then the newest races."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.ROUTES)
    SCOPES = frozenset({Scope.ROUTES})
    OWN = Scope.ROUTES
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "line"
    EVERY = 15.0

    async def read(self) -> Sequence[RouteRow]:
        routes, races = await asyncio.gather(self.desk.client.routes(), self.desk.client.races())
        return rows_of(routes, races)

    def id_of(self, row: RouteRow) -> Hashable:
        return row.id

    def sign_of(self, row: RouteRow, now: int) -> Part:
        return sign(row, now)

    def concerns(self, event: JobsChanged) -> bool:
        return event.reordered

    def title_more(self, now: int) -> Sequence[Part]:
        shut = sum(row.route is not None and role(row, now) is Role.FAILED for row in self._all)
        return [("first match wins", Role.MUTED), *([(f"{shut} with no way", Role.FAILED)] if shut else [])]

    def line_of(self, row: RouteRow, now: int) -> Sequence[Part]:
        if row.race is not None:
            return [(f"race {row.race.id}: {row.race.state}  ", role(row, now)), (clean_line(row.race.why), Role.MUTED)]
        said = [f"{cause}: {policy}" for cause, policy in (row.route.policies if row.route else {}).items()]
        return [("  ".join(said), Role.MUTED)]

    def told_of(self, row: RouteRow, now: int) -> list[Entry]:
        return told(row, now)

    async def look_up(self, row: RouteRow) -> list[Entry] | None:
        if row.race is None:
            return None
        return told(RouteRow(row.place, race=await self.desk.client.race(row.race.id)), self.desk.clock())

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            (("   headway.yaml names no route: every job stays on the target that it names.", Role.TEXT),),
            (("   t", Role.KEY), (" says where a job or a prompt would go, ", Role.MUTED), ("b", Role.KEY),
             (" how targets do. docs/routes.md says how routes are written.", Role.MUTED)),
        )  # fmt: skip

    # What the keys do

    def action_dry_run(self, what: str = "") -> None:
        if what:
            self._dry(what)
        else:
            self.ask_for("where would it go? a job (J12), or a prompt:", "", self._dry)

    def _dry(self, what: str) -> None:
        if what:
            self.work(self._dry_run(what))

    async def _dry_run(self, what: str) -> None:
        found = await self.attempt(self._choice(what))
        if found is not None:
            self.zoom(self.text)
            self.show_text(choice_entries(found, self.desk.clock()))
            self.say(f"{clean_line(what)} -> {found.route or 'no route'} -> {found.target}")

    async def _choice(self, what: str) -> RouteChoice:
        try:
            job = read_job(what)
        except UsageError:
            return await self.desk.client.explain_route(RouteQuery(prompt=what))
        return await self.desk.client.route_of(job)

    def action_scoreboard(self) -> None:
        self.work(self._scoreboard())

    async def _scoreboard(self) -> None:
        board = await self.attempt(self.desk.client.scoreboard())
        if board is not None:
            self.zoom(self.text)
            self.show_text(board_entries(board))

    def action_pick_winner(self, job: str = "") -> None:
        row = self.target()
        if row is None or row.race is None:
            self.say("the cursor is on no race", Role.WAIT)
        elif job:
            self._pick(row.race.id, job)
        else:
            number = row.race.id
            self.ask_for(f"who won race {number}? a job:", "", lambda text: self._pick(number, text))

    def _pick(self, race: int, text: str) -> None:
        if not text:
            return
        try:
            self.work(self._picked(race, read_job(text)))
        except UsageError as error:
            self.say(error.message, Role.FAILED)

    async def _picked(self, race: int, job: int) -> None:
        async def call() -> str:
            picked = await self.desk.client.pick(race, job)
            return f"{job_name(picked.job)} won race {race}{f', on {picked.branch}' if picked.branch else ''}"

        await self.done(call)
