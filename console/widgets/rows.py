"""The table of jobs, drawn line by line from a source of any length. The cursor belongs to a job's id."""

from __future__ import annotations

from array import array
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.columns import choose, head_parts, row_parts
from console.desk import Desk
from console.draw import draw
from console.format import job_name
from console.roles import Ground, Part, Role
from console.source import JobSource, Marks
from engine.model import Job


class Rows(Widget, can_focus=True):
    """A list of jobs with one cursor and any number of marks.

    While the cursor is away from the top, or anything is marked, the owner keeps the order as it is. At the top the
    list is live: the cursor stays on the first row, whichever job that is.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another job, or other rows are in sight."""

    class Opened(Message):
        """The row under the cursor was clicked."""

    def __init__(self, desk: Desk, source: JobSource) -> None:
        super().__init__(id="rows")
        self._desk = desk
        self.source = source
        self.marks = Marks()
        self.cursor = 0
        self.top = 0
        self.range_start: int | None = None
        self.now = desk.clock()
        self.empty: tuple[tuple[Part, ...], ...] = ()
        self._columns = choose(80)
        self._drawn: dict[int, tuple[Part, ...]] = {}

    @property
    def body_height(self) -> int:
        return max(1, self.size.height - 1)

    @property
    def window(self) -> tuple[int, int]:
        """The places in sight: first, and one after the last."""
        return self.top, min(self.top + self.body_height, len(self.source))

    @property
    def cursor_id(self) -> int | None:
        """The job under the cursor."""
        return self.source.order[self.cursor] if self.cursor < len(self.source) else None

    @property
    def cursor_job(self) -> Job | None:
        return self.source.job_at(self.cursor) if self.cursor < len(self.source) else None

    @property
    def frozen(self) -> bool:
        """The operator is at work on what the list shows: its order must not change."""
        return self.cursor > 0 or len(self.marks) > 0 or self.range_start is not None

    def take_order(self, order: array[int], *, keep: bool) -> None:
        """Show another order. With `keep` the cursor goes where its job went, else it stays at its place."""
        self.marks.settle()
        job = self.cursor_id
        self.source.replace(order, *self.window)
        place = self.source.index_of(job, self.cursor) if keep and job is not None else None
        offset = self.cursor - self.top
        self.cursor = min(self.cursor if place is None else place, max(0, len(order) - 1))
        self.top = self._clamped(self.cursor - offset)
        self._reveal()
        self._choose_columns()
        self.redraw()
        self.post_message(self.Moved())

    def _choose_columns(self) -> None:
        order = self.source.order
        longest = max((order[0], order[-1], *order[self.top : self.top + 200])) if len(order) else 0
        self._columns = choose(self.size.width, longest)

    def redraw(self) -> None:
        """Draw everything again."""
        self._drawn.clear()
        self.refresh()

    def refresh_rows(self, now: int) -> None:
        """Draw the rows in sight whose words changed, and no others."""
        self.now = now
        first, last = self.window
        for index in range(first, last):
            job = self.source.job_at(index)
            parts = tuple(self._parts(index, job)) if job else ()
            if self._drawn.get(index) != parts:
                self._refresh_row(index)

    def _refresh_row(self, index: int) -> None:
        y = index - self.top + 1
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _parts(self, index: int, job: Job) -> list[Part]:
        desk = self._desk
        wait = self.source.waits.get(job.id)
        marked = job.id in self.marks
        return row_parts(job, self._columns, self.now, marked=marked, ascii=desk.ascii, wait=wait)

    def render_line(self, y: int) -> Strip:
        desk, width = self._desk, self.size.width
        if y == 0:
            return draw(desk.ink, head_parts(self._columns), width, ground=Ground.HEAD, ascii=desk.ascii)
        index = self.top + y - 1
        if index >= len(self.source):
            return self._blank(y - 1)
        job = self.source.job_at(index)
        parts: list[Part]
        if job is None:
            self._drawn[index] = ()
            parts = [("   ", Role.MUTED), (job_name(self.source.order[index]), Role.MUTED)]
        else:
            parts = self._parts(index, job)
            self._drawn[index] = tuple(parts)
        ground = Ground.PAGE
        if index == self.cursor:
            ground = Ground.CURSOR if self.has_focus else Ground.CURSOR_IDLE
        return draw(desk.ink, parts, width, ground=ground, ascii=desk.ascii)

    def _blank(self, row: int) -> Strip:
        parts: tuple[Part, ...] = ()
        if not len(self.source) and 1 <= row <= len(self.empty):
            parts = self.empty[row - 1]
        return draw(self._desk.ink, parts, self.size.width, ascii=self._desk.ascii)

    def show_empty(self, lines: tuple[tuple[Part, ...], ...]) -> None:
        """What stands in an empty list: what to press or to type."""
        if lines != self.empty:
            self.empty = lines
            if not len(self.source):
                self.refresh()

    def move_to(self, index: int) -> None:
        """Put the cursor on a place of the list."""
        index = max(0, min(index, len(self.source) - 1))
        if not len(self.source) or index == self.cursor:
            return
        old, self.cursor = self.cursor, index
        if self._reveal():
            self.redraw()
        else:
            self._refresh_row(old)
            self._refresh_row(index)
        self.post_message(self.Moved())

    def _reveal(self) -> bool:
        """Bring the cursor into sight; true where that moved the window."""
        old = self.top
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + self.body_height:
            self.top = self.cursor - self.body_height + 1
        self.top = self._clamped(self.top)
        return self.top != old

    def _clamped(self, top: int) -> int:
        return max(0, min(top, len(self.source) - self.body_height))

    def turn_page(self, rows: int) -> None:
        """Move cursor and window together."""
        old = self.top
        self.top = self._clamped(self.top + rows)
        index = max(0, min(self.cursor + rows, len(self.source) - 1))
        if self.top != old:
            self.cursor = index
            self._reveal()
            self.redraw()
            self.post_message(self.Moved())
        else:
            self.move_to(index)

    def on_resize(self, event: Resize) -> None:
        self._choose_columns()
        self._reveal()
        self.redraw()
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        self._refresh_row(self.cursor)

    def on_blur(self) -> None:
        self._refresh_row(self.cursor)

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        self.turn_page(max(1, self.body_height // 2))

    def action_half_up(self) -> None:
        self.turn_page(-max(1, self.body_height // 2))

    def action_page_down(self) -> None:
        self.turn_page(max(1, self.body_height - 1))

    def action_page_up(self) -> None:
        self.turn_page(-max(1, self.body_height - 1))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.source) - 1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.turn_page(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.turn_page(-3)

    def on_click(self, event: Click) -> None:
        index = self.top + event.y - 1
        if event.y < 1 or index >= len(self.source):
            return
        if index == self.cursor and event.chain > 1:
            self.post_message(self.Opened())
        else:
            self.move_to(index)
