"""One line of a screen that writes only when its words change."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from console.desk import Desk
from console.draw import draw
from console.roles import Ground, Part


class Line(Widget):
    """A row of text: parts from the left end, parts at the right end."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"
    ALLOW_SELECT = False

    def __init__(self, desk: Desk, *, ground: Ground = Ground.PAGE, id: str | None = None) -> None:
        super().__init__(id=id)
        self._desk = desk
        self._ground = ground
        self._left: tuple[Part, ...] = ()
        self._right: tuple[Part, ...] = ()

    def show(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Show these parts; writes nothing where they are the ones already shown."""
        new = (tuple(left), tuple(right))
        if new != (self._left, self._right):
            self._left, self._right = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if y:
            return Strip.blank(self.size.width)
        desk = self._desk
        return draw(desk.ink, self._left, self.size.width, right=self._right, ground=self._ground, ascii=desk.ascii)
