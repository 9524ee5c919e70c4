"""Where to and until when: the verbs that take a word, chosen from a list that says what each would do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from console.ahead import preview_line
from console.desk import Desk
from console.format import job_name, plural
from console.moves import HEADS, target_cells
from console.roles import Role
from console.screens.frame import Frame
from console.sizes import SIDE_BY_SIDE
from console.widgets.chooser import Choice, Chooser
from engine.errors import HeadwayError
from engine.model import Order, Verb
from engine.model.route import RouteChoice

_NEXT = "next"
_SPANS = (("15m", "a quarter of an hour"), ("1h", "an hour"), ("4h", "four hours"), ("12h", "twelve hours"),
          ("1d", "a day"), ("7d", "a week"), ("now", "no longer"))  # fmt: skip


class Choosing(Frame):
    """A screen on which something is chosen for jobs. What is under the cursor is foreseen while it is looked at."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._for: list[int] = []
        self._said_of: dict[str, str] = {}

    def targets(self) -> list[int]:
        """The jobs that a verb means now: the marked ones, or else the one under the cursor."""
        raise NotImplementedError

    async def carry_out(self, order: Order, foreseen: str | None = None) -> None:
        """Do it and say so. `foreseen`: what it changes, where somebody has looked ahead already."""
        raise NotImplementedError

    def chosen(self, kind: str, value: str) -> None:
        """Something of a screen's own was chosen."""

    def choose_target(self) -> None:
        """Open the list of targets for what a verb would mean now."""
        if jobs := self.targets():
            self.work(self._choose_target(jobs))
        else:
            self.say("no job here to reroute")

    async def _choose_target(self, jobs: list[int]) -> None:
        found = await self.attempt(self.desk.client.route_of(jobs[0]))
        if found is None:
            return
        choices = self._target_choices(found)
        if not choices:
            self.say("no other target is known; :reroute claude:opus names one")
            return
        what = job_name(jobs[0]) if len(jobs) == 1 else plural(len(jobs), "job")
        self._begin(jobs)
        self.chooser.open("reroute", f"{what} to", self._columns(HEADS), choices, _first_open(found))

    def _target_choices(self, found: RouteChoice) -> list[Choice]:
        now = self.desk.clock()
        choices = [
            Choice(one.target, self._columns(target_cells(one, now)), dim=not one.usable or one.here)
            for one in found.targets
        ]
        if found.route is not None:
            blank = ("", "", "", "", "", "", f"the next of the route {found.route}")
            choices.append(Choice(_NEXT, self._columns((f"  {_NEXT}", *blank))))
        return choices

    def _columns(self, cells: Sequence[str]) -> tuple[str, ...]:
        """What a narrow terminal has no room for is left out: NOW says it too."""
        left_out = () if self.size.width >= SIDE_BY_SIDE else ("BREAKER", "ADDS")
        return tuple(cell for head, cell in zip(HEADS, cells, strict=True) if head not in left_out)

    def choose_span(self) -> None:
        """Open the list of times until which jobs can be put off."""
        if jobs := self.targets():
            self._begin(jobs)
            self.chooser.open(
                "snooze", "for", ("TIME", ""), [Choice(span, (span, text)) for span, text in _SPANS], "1h"
            )
        else:
            self.say("no job here to snooze")

    def _begin(self, jobs: list[int]) -> None:
        self._for, self._said_of = jobs, {}

    def _order_for(self, kind: str, value: str) -> Order | None:
        if kind == "reroute":
            whither = {"to_next": True} if value == _NEXT else {"to": value}
            return Order(verb=Verb.REROUTE, jobs=self._for, **whither)
        if kind == "snooze":
            return Order(verb=Verb.SNOOZE, jobs=self._for, until=None if value == "now" else value)
        return None

    def on_chooser_moved(self, event: Chooser.Moved) -> None:
        order = self._order_for(event.kind, event.value)
        if order is not None:
            self.chooser.note(event.value, "looking ahead")
            self.in_background(partial(self._look_ahead, event.value, order), "ahead")

    async def _look_ahead(self, value: str, order: Order) -> None:
        try:
            self.desk.require_engine()
            result = await self.desk.client.carry_out(replace(order, dry_run=True, preview=True))
        except HeadwayError as error:
            self.chooser.note(value, error.message, Role.FAILED)
            return
        left = sum(map(len, result.skipped.values()))
        said = preview_line(result.preview, self.desk.clock())
        self._said_of[value] = said
        stays = f"{left} stays as it is" if left == 1 else f"{left} stay as they are" if left else ""
        notes = [said or "changes neither end, money nor limits", stays]
        self.chooser.note(value, "; ".join(filter(None, notes)), Role.ACCENT)

    def on_chooser_chosen(self, event: Chooser.Chosen) -> None:
        order = self._order_for(event.kind, event.value)
        if order is not None:
            self.work(self.carry_out(order, self._said_of.get(event.value)))
        else:
            self.chosen(event.kind, event.value)


def _first_open(found: RouteChoice) -> str:
    """The first target that can be used and that the job is not on: what most want."""
    return next((one.target for one in found.targets if one.usable and not one.here), "")
