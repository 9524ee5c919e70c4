"""Marks on the rows of a list: one by one, a range, all, what is left."""

from __future__ import annotations

from console.desk import Desk
from console.screens.arranging import Arranging
from console.source import JobSource
from console.widgets.rows import Rows
from engine.model import State


class Marking(Arranging):
    """A screen with a table of jobs whose rows can be marked. Verbs mean the marks, or else the row."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.source = JobSource()
        self.rows = Rows(desk, self.source)

    def targets(self) -> list[int]:
        if len(self.rows.marks):
            return self.rows.marks.ids()
        job = self.rows.cursor_id
        return [] if job is None else [job]

    def open_target(self) -> int | None:
        return self.rows.cursor_id

    def targets_done(self) -> None:
        if len(self.rows.marks):
            self.action_clear_marks()

    def action_mark(self) -> None:
        job = self.rows.cursor_id
        if job is not None:
            self.rows.marks.toggle(job)
            self.rows.move_to(self.rows.cursor + 1)
            self.marks_changed()

    def action_range(self) -> None:
        rows = self.rows
        if rows.cursor_id is None:
            return
        if rows.range_start is None:
            rows.range_start = rows.cursor_id
        else:
            start = self.source.index_of(rows.range_start, rows.cursor)
            if start is not None:
                first, last = sorted((start, rows.cursor))
                rows.marks.add(self.source.order[first : last + 1])
            rows.range_start = None
        self.marks_changed()

    def action_mark_all(self) -> None:
        if len(self.source):
            self.rows.marks.all_of(self.source.order)
            self.marks_changed()

    def action_invert_marks(self) -> None:
        if len(self.source):
            self.rows.marks.invert(self.source.order)
            self.marks_changed()

    def action_clear_marks(self) -> None:
        self.rows.marks.clear()
        self.rows.range_start = None
        self.marks_changed()

    def marks_changed(self) -> None:
        """Draw what the marks changed."""
        self.rows.refresh_rows(self.desk.clock())
        self.draw_frame(self.desk.clock())

    def action_next_failed(self) -> None:
        self.work(self._next_failed())

    async def _next_failed(self) -> None:
        failed = await self.attempt(self.desk.client.order(f"{self.filter} state:{State.FAILED}".strip()))
        asking = await self.attempt(self.desk.client.inbox())
        if failed is None or asking is None:
            return
        wanted, order, start = {*failed, *(card.job for card in asking)}, self.source.order, self.rows.cursor + 1
        for index in (*range(start, len(order)), *range(min(start, len(order)))) if wanted else ():
            if order[index] in wanted:
                self.rows.move_to(index)
                return
        self.say("no job in this list has failed or asks you")
