"""Lines in blocks, drawn one by one; the cursor stands on those that open something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.desk import Desk
from console.draw import draw
from console.overview import BoardLine
from console.roles import Ground


class Board(Widget, can_focus=True):
    """Draws only the lines that changed. The cursor belongs to what its line is about, not to the line."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on something else."""

    class Opened(Message):
        """What is under the cursor was clicked twice."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="board")
        self._desk = desk
        self.lines: list[BoardLine] = []
        self._at: tuple[int | None, int | None] | None = None
        self._row = -1
        """Where the cursor is, or was last."""

    @property
    def line(self) -> BoardLine | None:
        """The line under the cursor."""
        return self.lines[self._row] if 0 <= self._row < len(self.lines) and self.lines[self._row].stops else None

    @property
    def _stops(self) -> list[int]:
        return [row for row, line in enumerate(self.lines) if line.stops]

    def show(self, lines: Sequence[BoardLine]) -> None:
        """Show these lines; writes those that are others than before."""
        before, self.lines = self.lines, list(lines)
        old = self._row
        stops = self._stops
        same = [row for row in stops if (self.lines[row].card, self.lines[row].job) == self._at]
        self._row = same[0] if same else min(stops, key=lambda row: abs(row - max(old, 0)), default=-1)
        self._remember()
        for row in range(max(len(before), len(self.lines))):
            was = before[row] if row < len(before) else None
            now = self.lines[row] if row < len(self.lines) else None
            if was != now or (old != self._row and row in (old, self._row)):
                self.refresh(Region(0, row, self.size.width, 1))

    def _remember(self) -> None:
        line = self.line
        self._at = (line.card, line.job) if line is not None else self._at

    def render_line(self, y: int) -> Strip:
        desk, width = self._desk, self.size.width
        line = self.lines[y] if y < len(self.lines) else BoardLine(())
        ground = Ground.PAGE
        if y == self._row and line.stops:
            ground = Ground.CURSOR if self.has_focus else Ground.CURSOR_IDLE
        return draw(desk.ink, line.left, width, right=line.right, ground=ground, ascii=desk.ascii)

    def _step(self, step: int) -> None:
        stops = self._stops
        if not stops:
            return
        place = stops.index(self._row) if self._row in stops else 0
        self._go(stops[max(0, min(place + step, len(stops) - 1))])

    def _go(self, row: int) -> None:
        if row != self._row:
            for each in (self._row, row):
                self.refresh(Region(0, max(0, each), self.size.width, 1))
            self._row = row
            self._remember()
            self.post_message(self.Moved())

    def on_focus(self) -> None:
        self.refresh(Region(0, max(0, self._row), self.size.width, 1))

    def on_blur(self) -> None:
        self.refresh(Region(0, max(0, self._row), self.size.width, 1))

    def on_click(self, event: Click) -> None:
        if event.y in self._stops:
            if event.y == self._row and event.chain > 1:
                self.post_message(self.Opened())
            self._go(event.y)

    def action_down(self) -> None:
        self._step(1)

    def action_up(self) -> None:
        self._step(-1)

    def action_half_down(self) -> None:
        self._step(max(1, self.size.height // 4))

    def action_half_up(self) -> None:
        self._step(-max(1, self.size.height // 4))

    def action_page_down(self) -> None:
        self._step(max(1, self.size.height // 2))

    def action_page_up(self) -> None:
        self._step(-max(1, self.size.height // 2))

    def action_first(self) -> None:
        self._step(-len(self.lines))

    def action_last(self) -> None:
        self._step(len(self.lines))
