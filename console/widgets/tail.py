"""A text that grows at its end, drawn line by line: follows while it stands at the end, and only then."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.desk import Desk
from console.draw import draw
from console.roles import Part, Role
from console.transcript import Entry

#: The cell between the edge and the text.
_INSET: Part = (" ", Role.TEXT)


class Tail(Widget, can_focus=True):
    """Entries, laid out to the width. `add` changes nothing on screen; `flush` does, once a beat."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TEXT)
    ALLOW_SELECT = False
    HEAD_ROWS: ClassVar[int] = 0

    def __init__(self, desk: Desk, *, most: int, follow: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.desk = desk
        self._most = most
        self._entries: deque[Entry] = deque(maxlen=most)
        self._rows: list[tuple[Part, ...]] = []
        self._follows_at_end = follow
        self.following = follow
        self.top = 0
        self._waiting: list[Entry] = []
        self._stale = False
        self.empty = ""
        self.searched = ""
        """What was searched for last; empty where nothing is."""
        self._match = -1

    @property
    def text_height(self) -> int:
        return max(0, self.size.height - self.HEAD_ROWS)

    @property
    def _text_width(self) -> int:
        """Cells of a row: a cell stays free at either side."""
        return max(1, self.size.width - 2)

    @property
    def entry_count(self) -> int:
        return len(self._entries) + len(self._waiting)

    @property
    def below(self) -> int:
        """Rows under the lower edge: what a reader who scrolled up does not see."""
        return max(0, len(self._rows) - self.top - self.text_height)

    def add(self, entries: Iterable[Entry]) -> None:
        self._waiting.extend(entries)
        if len(self._waiting) > self._most:
            del self._waiting[: -self._most]

    def replace(self, entries: Iterable[Entry]) -> None:
        """Show another text from its beginning (or its end, where it follows)."""
        self._entries.clear()
        self._rows.clear()
        self._waiting = []
        self.top = 0
        self._match = -1
        self.following = self._follows_at_end
        self.add(entries)
        self._stale = True
        self.flush()

    def flush(self) -> None:
        """Lay out what was added and draw it. Draws nothing where nothing was added."""
        if not self._waiting and not self._stale:
            return
        if self.size.width == 0:
            return
        waiting, self._waiting, self._stale = self._waiting, [], False
        dropped = len(self._entries) + len(waiting) - self._most
        self._entries.extend(waiting)
        if dropped > 0:
            before = len(self._rows)
            self._lay_out()
            if not self.following:
                self.top = max(0, self.top - max(0, before - len(self._rows)) - dropped)
        else:
            for entry in waiting:
                self._rows.extend(entry.rows(self._text_width))
        self._settle()
        self.refresh()

    def _lay_out(self) -> None:
        width = self._text_width
        self._rows = [row for entry in self._entries for row in entry.rows(width)]

    def _settle(self) -> None:
        end = max(0, len(self._rows) - self.text_height)
        self.top = end if self.following else min(self.top, end)

    def on_resize(self, event: Resize) -> None:
        self._lay_out()
        self._settle()
        self._stale = True
        self.flush()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        ink, ascii = self.desk.ink, self.desk.ascii
        if y < self.HEAD_ROWS:
            return self.head(width)
        index = self.top + y - self.HEAD_ROWS
        if not self._rows and y == self.HEAD_ROWS and self.empty:
            return draw(ink, [_INSET, (self.empty, Role.MUTED)], width, ascii=ascii)
        parts = self._rows[index] if 0 <= index < len(self._rows) else ()
        tinted = [one for part in parts for one in self._marked(self.tint(part))]
        return draw(ink, [_INSET, *tinted], width, ascii=ascii)

    def head(self, width: int) -> Strip:
        """The fixed lines above the text, for those that have some."""
        return Strip.blank(width)

    def tint(self, part: Part) -> Part:
        """A part as it is to be drawn."""
        return part

    def whole_text(self) -> list[str]:
        """Every line that is kept, as plain text."""
        return ["".join(text for text, _ in entry.parts) for entry in self._entries]

    def shown_text(self) -> list[str]:
        """The rows in sight, as plain text."""
        rows = self._rows[self.top : self.top + self.text_height]
        return ["".join(text for text, _ in row).rstrip() for row in rows]

    def search(self, text: str) -> int:
        """Mark the rows that hold a text, letters of either case, and go to the last of them. How many there are."""
        self.searched = text.strip()
        self._match = len(self._rows)
        self.refresh()
        found = sum(map(self._holds, range(len(self._rows)))) if self.searched else 0
        if found:
            self.find(-1)
        return found

    def _holds(self, index: int) -> bool:
        return self.searched.casefold() in "".join(text for text, _ in self._rows[index]).casefold()

    def find(self, step: int) -> bool:
        """Go to the next row with what is searched, or the one before; false where there is none."""
        if not self.searched:
            return False
        count, index = len(self._rows), self._match + step
        while 0 <= index < count and not self._holds(index):
            index += step
        if not 0 <= index < count:
            return False
        self._match = index
        middle = index - self.text_height // 2
        self.top = max(0, min(middle, count - self.text_height))
        self.following = False
        self.refresh()
        return True

    def jump(self, start: str, step: int) -> tuple[int, int]:
        """Go to the next row that begins with a text, or the one before. Which of how many it is."""
        rows = [place for place, row in enumerate(self._rows) if row and row[0][0].startswith(start)]
        if not rows:
            return 0, 0
        after = [place for place in rows if place > self.top] if step > 0 else [p for p in rows if p < self.top]
        row = (after[0] if step > 0 else after[-1]) if after else (rows[-1] if step > 0 else rows[0])
        self.top, self.following = max(0, min(row, len(self._rows) - 1)), False
        self.refresh()
        return rows.index(row) + 1, len(rows)

    def _marked(self, part: Part) -> list[Part]:
        """A part, with what is searched in it standing out."""
        (text, role), word = part, self.searched.casefold()
        start = text.casefold().find(word) if word else -1
        if start < 0:
            return [part]
        end = start + len(word)
        return [(text[:start], role), (text[start:end], Role.YOU), *self._marked((text[end:], role))]

    def scroll_rows(self, delta: int) -> None:
        """Move by rows. Going up releases the end; coming back to it follows again."""
        end = max(0, len(self._rows) - self.text_height)
        top = min(max(0, self.top + delta), end)
        following = self._follows_at_end and top >= end and (delta > 0 or (self.following and end == 0))
        if (top, following) != (self.top, self.following):
            self.top, self.following = top, following
            self.refresh()

    def action_scroll_text_down(self) -> None:
        self.scroll_rows(1)

    def action_scroll_text_up(self) -> None:
        self.scroll_rows(-1)

    def action_half_text_down(self) -> None:
        self.scroll_rows(max(1, self.text_height // 2))

    def action_half_text_up(self) -> None:
        self.scroll_rows(-max(1, self.text_height // 2))

    def action_page_text_down(self) -> None:
        self.scroll_rows(max(1, self.text_height - 1))

    def action_page_text_up(self) -> None:
        self.scroll_rows(-max(1, self.text_height - 1))

    def action_text_start(self) -> None:
        self.scroll_rows(-len(self._rows) - 1)

    def action_text_end(self) -> None:
        self.scroll_rows(len(self._rows) + 1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.scroll_rows(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.scroll_rows(-3)
