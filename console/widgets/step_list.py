"""The steps of an attempt, one line each; enter unfolds one in place."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click, Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.desk import Desk
from console.draw import draw
from console.roles import Ground, Part, Role
from console.steps import Step, Steps
from engine.agents.events import LogLine


class StepList(Widget, can_focus=True):
    """Follows while the cursor is on the last step, and only then."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another step."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="steps")
        self._desk = desk
        self.steps = Steps()
        self.cursor = 0
        self._top = 0
        self._rows: list[tuple[int, int]] = []
        """Of each row its step, and which line behind it; -1 for the step's own."""
        self._stale = False
        self.empty = "nothing done yet"

    def clear(self) -> None:
        """Begin with another attempt."""
        self.steps, self.cursor, self._top, self._stale = Steps(), 0, 0, True

    def add(self, line: LogLine) -> None:
        """Take one event; `flush` draws it."""
        following = self.following
        if self.steps.add(line):
            self._stale = True
            self.cursor = len(self.steps.all) - 1 if following else min(self.cursor, len(self.steps.all) - 1)

    @property
    def following(self) -> bool:
        return self.cursor >= len(self.steps.all) - 1

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        return self.steps.all[self.cursor] if self.cursor < len(self.steps.all) else None

    def flush(self) -> bool:
        """Draw what was added, and say so; nothing where nothing was."""
        if not self._stale or not self.size.width:
            return False
        self._stale = False
        self._lay_out()
        return True

    def _lay_out(self) -> None:
        self._rows = []
        for place, step in enumerate(self.steps.all):
            self._rows.append((place, -1))
            if step.open:
                self._rows += [(place, line) for line in range(len(step.more))]
        self._reveal()
        self.refresh()

    def _reveal(self) -> None:
        if not self._rows:
            self._top = 0
            return
        row = self._rows.index((self.cursor, -1))
        height = max(1, self.size.height)
        step = self.step
        last = row + (min(len(step.more), height - 1) if step is not None and step.open else 0)
        self._top = min(max(self._top, last - height + 1), row)
        self._top = max(0, min(self._top, len(self._rows) - height))

    def render_line(self, y: int) -> Strip:
        desk, width, index = self._desk, self.size.width, self._top + y
        if index >= len(self._rows):
            said: list[Part] = [(f" {self.empty}", Role.MUTED)] if not self._rows and y == 0 else []
            return draw(desk.ink, said, width, ascii=desk.ascii)
        place, line = self._rows[index]
        step = self.steps.all[place]
        if line >= 0:
            return draw(desk.ink, [("     ", Role.MUTED), *step.more[line]], width, ascii=desk.ascii)
        fold = ("▾" if step.open else "▸") if step.more else " "
        lead: list[Part] = [(f" {fold} ", Role.MUTED), *([("✗ ", Role.FAILED)] if step.failed else []), *step.lead]
        ground = Ground.PAGE
        if place == self.cursor:
            ground = Ground.CURSOR if self.has_focus else Ground.CURSOR_IDLE
        right: list[Part] = [(f"  {step.note} ", Role.FAILED if step.failed else Role.MUTED)] if step.note else []
        return draw(desk.ink, lead, width, right=right, ground=ground, ascii=desk.ascii)

    def move_to(self, place: int) -> None:
        place = max(0, min(place, len(self.steps.all) - 1))
        if self.steps.all and place != self.cursor:
            self.cursor = place
            self._reveal()
            self.refresh()
            self.post_message(self.Moved())

    def toggle(self) -> bool:
        """Unfold the step under the cursor, or fold it; false where nothing is behind it."""
        step = self.step
        if step is None or not step.more:
            return False
        step.open = not step.open
        self._lay_out()
        return True

    def on_resize(self, event: Resize) -> None:
        self._lay_out()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        index = self._top + event.y
        if index < len(self._rows):
            place = self._rows[index][0]
            if place == self.cursor:
                self.toggle()
            self.move_to(place)

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        self.move_to(self.cursor + max(1, self.size.height // 2))

    def action_half_up(self) -> None:
        self.move_to(self.cursor - max(1, self.size.height // 2))

    def action_page_down(self) -> None:
        self.move_to(self.cursor + max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        self.move_to(self.cursor - max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.steps.all) - 1)
