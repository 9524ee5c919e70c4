"""The saved views beside a wide table: which there are, and which is shown."""

from __future__ import annotations

from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.desk import Desk
from console.draw import draw
from console.format import fit
from console.roles import Ground, Part, Role


class ViewList(Widget):
    """Names, one a line. A click shows one; `V` and `:view NAME` do it by keys."""

    ALLOW_SELECT = False

    class Clicked(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="views")
        self._desk = desk
        self._names: tuple[str, ...] = ()
        self._shown = ""

    def show(self, names: list[str], shown: str) -> None:
        if (tuple(names), shown) != (self._names, self._shown):
            self._names, self._shown = tuple(names), shown
            self.refresh()

    def render_line(self, y: int) -> Strip:
        desk, width = self._desk, self.size.width
        if y == 0:
            return draw(desk.ink, [(" VIEWS", Role.MUTED)], width, ground=Ground.HEAD, ascii=desk.ascii)
        name = self._names[y - 1] if y <= len(self._names) else ""
        here = bool(name) and name == self._shown
        parts: list[Part] = [("▸" if here else " ", Role.ACCENT), (fit(name, max(1, width - 1)), Role.TEXT)]
        if not here:
            parts = [(fit(f" {name}", width), Role.MUTED)]
        return draw(desk.ink, parts, width, ascii=desk.ascii)

    def on_click(self, event: Click) -> None:
        if 1 <= event.y <= len(self._names):
            self.post_message(self.Clicked(self._names[event.y - 1]))
