"""Marks on a list: an act is for what is marked, or else for the row under the cursor."""

from __future__ import annotations

from typing import TypeVar

from console.actions import Scope
from console.screens.listing import ListScreen

R = TypeVar("R")


class MarkedScreen(ListScreen[R]):
    """A list whose verbs take several rows."""

    def live_scopes(self) -> frozenset[Scope]:
        return super().live_scopes() | {Scope.MARKS}

    def targets(self) -> list[R]:
        """What a key means: the marked rows, or else the one under the cursor; nothing, and why."""
        if self.table.marks:
            return self.table.marked()
        row = self.target()
        return [] if row is None else [row]

    def _changed(self) -> None:
        self.table.refresh_rows(self.desk.clock())
        self.draw_frame(self.desk.clock())

    def action_mark(self) -> None:
        table = self.table
        if (id := table.row_id) is not None:
            table.marks ^= {id}
            table.move_to(table.cursor + 1)
            self._changed()

    def action_range(self) -> None:
        table = self.table
        if table.row_id is None:
            return
        if table.range_start is None:
            table.range_start = table.row_id
            self.say("go to the other end, then v again")
            return
        ids = [self.id_of(row) for row in table.rows]
        start = ids.index(table.range_start) if table.range_start in ids else table.cursor
        first, last = sorted((start, table.cursor))
        table.marks |= set(ids[first : last + 1])
        table.range_start = None
        self._changed()

    def action_mark_all(self) -> None:
        self.table.marks = {self.id_of(row) for row in self.table.rows}
        self._changed()

    def action_invert_marks(self) -> None:
        self.table.marks ^= {self.id_of(row) for row in self.table.rows}
        self._changed()

    def action_clear_marks(self) -> None:
        self.table.marks.clear()
        self.table.range_start = None
        self._changed()
