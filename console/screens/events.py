"""Events: the engine's log as it grows. The cursor follows it while it stands at the end, and only then."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec
from textual.binding import BindingType

from console.actions import Scope, bindings
from console.desk import Desk
from console.fields import Field
from console.format import clean_line, job_name, moment, plural
from console.happenings import FIELDS, kind_of, sign_of, words_of
from console.messages import Pulse
from console.roles import Part, Role
from console.screens.listing import ListScreen
from console.tabs import Tab
from console.telling import fact
from console.transcript import Entry
from engine.events import Event

if TYPE_CHECKING:
    from console.app import ConsoleApp

#: Events that are kept and shown: the newest. All of them are in the log, by `headway events`.
_KEPT = 2_000

#: Events of one read.
_PAGE = 500


class EventsScreen(ListScreen[Event]):
    """The newest events, oldest first."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.EVENTS)
    SCOPES = frozenset({Scope.EVENTS})
    OWN = Scope.EVENTS
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "event"
    GROWS = True

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._events: list[Event] = []

    async def read(self) -> Sequence[Event]:
        """What is new since the last read; at first, the newest."""
        last = self._events[-1].seq if self._events else None
        while True:
            found = await self.desk.client.events(after=last, limit=_PAGE)
            self._events = [*self._events, *found][-_KEPT:]
            if last is None or len(found) < _PAGE:
                return self._events
            last = self._events[-1].seq

    def id_of(self, row: Event) -> Hashable:
        return row.seq

    def sign_of(self, row: Event, now: int) -> Part:
        return sign_of(row, now)

    def beat(self, pulse: Pulse) -> None:
        if self.loaded and self.desk.seq > (self._events[-1].seq if self._events else 0):
            self._dirty = True
        super().beat(pulse)

    def title_more(self, now: int) -> Sequence[Part]:
        below = len(self.table.rows) - 1 - self.table.cursor
        return (
            [("following", Role.MUTED)] if below <= 0 else [(f"{plural(below, 'event')} below, G follows", Role.WAIT)]
        )

    def line_of(self, row: Event, now: int) -> Sequence[Part]:
        return [(f"{moment(row.at)}  ", Role.MUTED), (words_of(row), Role.TEXT)]

    def told_of(self, row: Event, now: int) -> list[Entry]:
        told = [Entry(((kind_of(row).replace("_", " "), Role.HEADING), (f"   {row.seq}", Role.MUTED)))]
        told += fact("at", moment(row.at))
        told += fact("job", job_name(row.job) if row.job is not None else None)
        for name, value in msgspec.to_builtins(row.body).items():
            if name != "kind" and value not in (None, [], "", {}):
                told += fact(name.replace("_", " "), str(value))
        return told

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            (("   Nothing has happened yet. What does is listed here as it does.", Role.TEXT),),
            (("   headway submit \"fix the flaky login test\"", Role.KEY),),
        )  # fmt: skip

    def action_event_job(self) -> None:
        row = self.table.row
        if row is None or row.job is None:
            self.say("that event is of no job" if row is not None else "no event here")
        else:
            cast("ConsoleApp", self.app).open_job(row.job, Tab.LOG)

    def open_row(self, row: Event) -> None:
        if row.job is not None:
            self.action_event_job()
        else:
            super().open_row(row)

    def action_narrow_job(self) -> None:
        """Only the events of the job under the cursor; again, all."""
        row = self.table.row
        if row is None or row.job is None:
            self.say("that event is of no job" if row is not None else "no event here")
        else:
            word = f"job:{clean_line(job_name(row.job))}"
            self.narrow("" if self.filter == word else word)
