"""A list of things that are all there, drawn line by line. Cursor and marks belong to ids, not to places."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.binding import BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.desk import Desk
from console.draw import draw
from console.fields import Field, cells, choose, head
from console.roles import Ground, Part, Role

R = TypeVar("R")

#: Mark sign, state glyph, and the cell after it.
_SIGNS = 3


class Table(Widget, Generic[R], can_focus=True):
    """One line a row. `tail`: a list that grows at its end, which the cursor follows while it stands there."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another row. `by_key`: because the operator moved it."""

        def __init__(self, by_key: bool) -> None:
            super().__init__()
            self.by_key = by_key

    class Opened(Message):
        """The row under the cursor was clicked."""

    def __init__(
        self,
        desk: Desk,
        fields: Sequence[Field[R]],
        id_of: Callable[[R], Hashable],
        sign_of: Callable[[R, int], Part],
        *,
        tail: bool = False,
    ) -> None:
        super().__init__(id="table")
        self._desk = desk
        self.fields = fields
        self._id_of = id_of
        self._sign_of = sign_of
        self._tail = tail
        self.rows: list[R] = []
        self.cursor = 0
        self.top = 0
        self.marks: set[Hashable] = set()
        self.range_start: Hashable | None = None
        self.sorted_by, self.down = "", False
        self.now = desk.clock()
        self._empty: tuple[tuple[Part, ...], ...] = ()
        self._drawn: dict[int, tuple[Part, ...]] = {}

    @property
    def row(self) -> R | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def row_id(self) -> Hashable | None:
        row = self.row
        return None if row is None else self._id_of(row)

    @property
    def at_end(self) -> bool:
        return self.cursor >= len(self.rows) - 1

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def marked(self) -> list[R]:
        """The marked rows, in their order; of a filter's rows only those that are there."""
        return [row for row in self.rows if self._id_of(row) in self.marks]

    def take(self, rows: Sequence[R], *, known: Sequence[Hashable] | None = None) -> None:
        """Show these. The cursor stays with its row; where that is gone, at its place. Marks of what is in neither
        these nor `known` are dropped.
        """
        before, follows, stood = self.row_id, self._tail and self.at_end, (self.cursor, self.top)
        offset = self.cursor - self.top
        self.rows = list(rows)
        ids = [self._id_of(row) for row in self.rows]
        place = {id: index for index, id in enumerate(ids)}
        if self.marks:
            self.marks &= {*ids, *(known or ())}
        last = max(0, len(ids) - 1)
        self.cursor = last if follows else place[before] if before in place else min(self.cursor, last)
        self.top = self._clamped(self.cursor - offset)
        self._reveal()
        if (self.cursor, self.top) != stood:
            self.refresh()
        else:
            self.refresh_rows(self._desk.clock(), whole=True)
        if before is not None and self.row_id != before:
            self.post_message(self.Moved(by_key=False))

    def show_empty(self, lines: tuple[tuple[Part, ...], ...]) -> None:
        """What stands in an empty list."""
        if lines != self._empty:
            self._empty = lines
            self.refresh()

    def refresh_rows(self, now: int, *, whole: bool = False) -> None:
        """Draw the lines in sight whose words changed, and no others; `whole`: also those that were empty."""
        self.now = now
        for y in range(self.size.height if whole else min(self.size.height, len(self.rows) - self.top + 1)):
            if self._drawn.get(y) != tuple(self._parts(y)):
                self.refresh(Region(0, y, self.size.width, 1))

    def _parts(self, y: int) -> list[Part]:
        columns = choose(self.fields, self.size.width, _SIGNS)
        if y == 0:
            return head(columns, _SIGNS, self.sorted_by, self.down)
        index = self.top + y - 1
        if index >= len(self.rows):
            return list(self._empty[y - 2]) if not self.rows and 0 <= y - 2 < len(self._empty) else []
        row = self.rows[index]
        sign, role = self._sign_of(row, self.now)
        marked = self._id_of(row) in self.marks
        return [("*" if marked else " ", Role.ACCENT), (sign, role), (" ", Role.TEXT), *cells(row, columns, self.now)]

    def render_line(self, y: int) -> Strip:
        desk, parts = self._desk, self._parts(y)
        self._drawn[y] = tuple(parts)
        ground = Ground.HEAD if y == 0 else Ground.PAGE
        if y and self.rows and self.top + y - 1 == self.cursor:
            ground = Ground.CURSOR if self.has_focus else Ground.CURSOR_IDLE
        return draw(desk.ink, parts, self.size.width, ground=ground, ascii=desk.ascii)

    def move_to(self, index: int, *, by_key: bool = True) -> None:
        index = max(0, min(index, len(self.rows) - 1))
        if not self.rows or index == self.cursor:
            return
        before, top = self.cursor, self.top
        self.cursor = index
        self._reveal()
        if self.top != top:
            self.refresh()
        else:
            for place in (before, index):
                self.refresh(Region(0, place - top + 1, self.size.width, 1))
        self.post_message(self.Moved(by_key))

    def stand_on(self, id: Hashable) -> bool:
        """Put the cursor on a row, where that is there."""
        for index, row in enumerate(self.rows):
            if self._id_of(row) == id:
                self.move_to(index, by_key=False)
                return True
        return False

    def _clamped(self, top: int) -> int:
        return max(0, min(top, len(self.rows) - self._height))

    def _reveal(self) -> None:
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + self._height:
            self.top = self.cursor - self._height + 1
        self.top = self._clamped(self.top)

    def on_resize(self, event: Resize) -> None:
        self._drawn.clear()
        self._reveal()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh(Region(0, self.cursor - self.top + 1, self.size.width, 1))

    def on_blur(self) -> None:
        self.refresh(Region(0, self.cursor - self.top + 1, self.size.width, 1))

    def on_click(self, event: Click) -> None:
        index = self.top + event.y - 1
        if event.y < 1 or index >= len(self.rows):
            return
        if index == self.cursor and event.chain > 1:
            self.post_message(self.Opened())
        else:
            self.move_to(index)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.move_to(self.cursor + 3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.move_to(self.cursor - 3)

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        self.move_to(self.cursor + max(1, self._height // 2))

    def action_half_up(self) -> None:
        self.move_to(self.cursor - max(1, self._height // 2))

    def action_page_down(self) -> None:
        self.move_to(self.cursor + max(1, self._height - 1))

    def action_page_up(self) -> None:
        self.move_to(self.cursor - max(1, self._height - 1))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.rows) - 1)
