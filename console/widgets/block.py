"""Some lines above a list that need no keys: as high as they are many, written only where their words change."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from console.desk import Desk
from console.draw import draw
from console.roles import Part


class Block(Widget):
    """Lines of parts."""

    DEFAULT_CSS = "Block { height: 0; width: 1fr; }"
    ALLOW_SELECT = False

    def __init__(self, desk: Desk, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._desk = desk
        self._lines: list[tuple[Part, ...]] = []

    def show(self, lines: Sequence[Sequence[Part]]) -> None:
        """Show these lines; writes those that are not the ones already shown."""
        before, self._lines = self._lines, [tuple(line) for line in lines]
        if len(before) != len(self._lines):
            self.styles.height = len(self._lines)
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        parts = self._lines[y] if y < len(self._lines) else ()
        return draw(self._desk.ink, parts, self.size.width, ascii=self._desk.ascii)
