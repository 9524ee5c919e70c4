"""A screen that is a list of something and what is known of the row under the cursor: read, sorted, narrowed, shown."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from textual.containers import Container, Vertical
from textual.widget import Widget

from console.actions import Action, Scope
from console.desk import Desk
from console.fields import Field, matches, named, ordered
from console.format import clean_line, number, plural
from console.messages import JobsChanged, Pulse
from console.pace import Pace
from console.roles import Part, Role
from console.screens.frame import Frame
from console.sizes import DIFF_LINES, PREVIEW_BELOW, PREVIEW_RIGHT
from console.transcript import Entry
from console.widgets.ask_bar import AskBar
from console.widgets.block import Block
from console.widgets.table import Table
from console.widgets.tail import Tail
from engine.errors import HeadwayError

if TYPE_CHECKING:
    from console.app import ConsoleApp

R = TypeVar("R")

#: Seconds after the list put another row under the cursor by itself in which no key acts on it.
_GRACE = 0.7


class ListScreen(Frame, Generic[R]):
    """Subclasses say what the columns are, how rows are read, what is known of one, and what the keys do to it."""

    FIELDS: ClassVar[Sequence[Field[Any]]] = ()
    NOUN: ClassVar[str] = "row"
    OWN: ClassVar[Scope]
    """The scope of the keys that only this screen has."""
    EVERY: ClassVar[float | None] = None
    """Seconds between two reads while it is in sight; None: when something happens."""
    GROWS: ClassVar[bool] = False
    """New rows come at the end, and the cursor follows them while it stands there."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.above = Block(desk, id="above")
        self.table: Table[R] = Table(desk, self.FIELDS, self.id_of, self.sign_of, tail=self.GROWS)
        self.text = Tail(desk, most=DIFF_LINES, follow=False, id="preview")
        self.filter = ""
        self.loaded = False
        self.problem = ""
        self._all: Sequence[R] = ()
        self._dirty = False
        self._pace = Pace()
        self._read_at = float("-inf")
        self._moved = float("-inf")
        self._before_prompt = ""
        self._then: Callable[[str], object] | None = None
        self._own = False
        self._told: tuple[Hashable | None, list[Entry]] = (None, [])

    # What a subclass says

    async def read(self) -> Sequence[R]:
        """All rows, in the order in which they are shown unless sorted."""
        raise NotImplementedError

    def id_of(self, row: R) -> Hashable:
        raise NotImplementedError

    def sign_of(self, row: R, now: int) -> Part:
        """The glyph before a row."""
        return " ", Role.MUTED

    def told_of(self, row: R, now: int) -> list[Entry]:
        """What the preview says of a row, as far as the list knows it."""
        return []

    async def look_up(self, row: R) -> list[Entry] | None:
        """What the engine knows beyond that; None where there is nothing to be asked."""
        return None

    def line_of(self, row: R, now: int) -> Sequence[Part]:
        """What the ask-bar says of the row under the cursor."""
        return ()

    def above_lines(self, now: int) -> Sequence[Sequence[Part]]:
        """The lines above the list."""
        return ()

    def title_more(self, now: int) -> Sequence[Part]:
        """What the title line says beside the name and the number of rows."""
        return ()

    def nothing(self) -> Sequence[Sequence[Part]]:
        """What an empty list says: always also what to press or to type."""
        return ()

    def open_row(self, row: R) -> None:
        """`enter` on a row: read what is known of it."""
        self.zoom(self.text)

    def concerns(self, event: JobsChanged) -> bool:
        """Whether what happened changes the list."""
        return False

    # How it is laid out

    def body(self) -> Iterable[Widget]:
        yield self.above
        yield Container(Vertical(self.table, id="list"), self.text, id="listing")

    def home(self) -> Widget | None:
        return self.table

    def shape(self, width: int, height: int) -> None:
        self.set_class(width >= PREVIEW_RIGHT, "-right")
        self.set_class(width < PREVIEW_RIGHT and height >= PREVIEW_BELOW, "-below")
        if self.loaded:
            self._show_told()

    @property
    def previews(self) -> bool:
        """The preview can be seen."""
        return self.has_class("-right") or self.has_class("-below") or self.has_class("-zoom-text")

    def live_scopes(self) -> frozenset[Scope]:
        part = Scope.TEXT if self.focused is self.text else Scope.LIST
        return super().live_scopes() | {self.OWN, Scope.TABLE, Scope.SORTED, part}

    def hinted(self) -> Sequence[Action]:
        """What only this screen can do goes before what every list can."""
        return sorted(super().hinted(), key=lambda action: action.scope is not self.OWN)

    # What is read, and when

    def on_mount(self) -> None:
        self._show_empty()
        self.reload()

    def resume(self) -> None:
        if self._dirty or self._due(time.monotonic()):
            self.reload()

    def _due(self, now: float) -> bool:
        return self.EVERY is not None and now - self._read_at >= self.EVERY

    def reload(self) -> None:
        self._dirty = False
        self._read_at = time.monotonic()
        self._pace.start(self._read_at)
        self.in_background(self._read, "list")

    async def _read(self) -> None:
        try:
            rows = await self.read()
        except HeadwayError as error:
            self.problem, self._dirty = error.message, True
            self._show_empty()
        else:
            self.loaded, self.problem, self._all = True, "", rows
            self.show_rows()
        finally:
            self._pace.end(time.monotonic())

    def show_rows(self) -> None:
        """Show the rows that are there, sorted and narrowed as the operator wants them."""
        now, table = self.desk.clock(), self.table
        shown = [row for row in self._all if matches(row, self.FIELDS, self.filter, now)]
        table.take(
            ordered(shown, named(self.FIELDS, table.sorted_by), now, down=table.down),
            known=[*map(self.id_of, self._all)],
        )
        self._show_empty()
        self.above.show(self.above_lines(now) if self.loaded else ())
        self._show_told()
        self.draw_frame(now)

    def on_jobs_changed(self, event: JobsChanged) -> None:
        self._dirty = self._dirty or self.concerns(event)

    def on_status_changed(self, event: object) -> None:
        if self.desk.offline_since is not None:
            self.problem = self.desk.why_offline
            self._show_empty()
        self.draw_frame(self.desk.clock())

    def beat(self, pulse: Pulse) -> None:
        now = time.monotonic()
        wanted = self._dirty or self._due(now)
        if wanted and pulse.steady and self.desk.offline_since is None and self._pace.due(now):
            self.reload()
        if pulse.second:
            self.table.refresh_rows(pulse.now)
            if self.loaded:
                self.above.show(self.above_lines(pulse.now))
        self.text.flush()

    def on_table_moved(self, event: Table.Moved) -> None:
        if not event.by_key:
            self._moved = time.monotonic()
        self._own = False
        self._show_told()
        self.draw_frame(self.desk.clock())

    def on_table_opened(self, event: Table.Opened) -> None:
        self.action_open()

    def _show_told(self) -> None:
        """Say what is known of the row under the cursor, and ask for the rest of it."""
        row = self.table.row
        if not self.previews or self._own:
            return
        self._tell(self.table.row_id, [] if row is None else self.told_of(row, self.desk.clock()))
        if row is not None:
            self.in_background(partial(self._look_up, row), "preview")

    async def _look_up(self, row: R) -> None:
        try:
            found = await self.look_up(row)
        except HeadwayError as error:
            found = [*self.told_of(row, self.desk.clock()), Entry(((clean_line(error.message), Role.FAILED),))]
        if found is not None and not self._own and self.id_of(row) == self.table.row_id:
            self._tell(self.id_of(row), found)

    def show_text(self, entries: list[Entry]) -> None:
        """Show something else than the row, until the preview is left."""
        self._own = True
        self._tell("own", entries)

    def _tell(self, id: Hashable | None, entries: list[Entry]) -> None:
        if (id, entries) == self._told:
            return
        top = self.text.top if id == self._told[0] else 0
        self._told = (id, entries)
        self.text.replace(entries)
        self.text.scroll_rows(top)

    # What is shown

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        table = self.table
        left: list[Part] = [(f" {cast('ConsoleApp', self.app).place.title}   ", Role.HEADING)]
        if self.filter:
            left.append((f"{clean_line(self.filter)}   ", Role.ACCENT))
            left.append((f"{number(len(table.rows))} of {number(len(self._all))}", Role.MUTED))
        elif self.loaded:
            left.append((plural(len(self._all), self.NOUN), Role.MUTED))
        if table.marks:
            left.append((f"   {number(len(table.marks))} marked", Role.ACCENT))
        if table.sorted_by:
            left.append((f"   by {table.sorted_by.lower()} {'▾' if table.down else '▴'}", Role.MUTED))
        left += [(f"   {text}", role) for text, role in self.title_more(now)]
        return left, [(f"{clean_line(self.problem)} ", Role.FAILED)] if self.problem and self.loaded else []

    def idle_parts(self, now: int) -> Sequence[Part]:
        row = self.table.row
        return () if row is None else self.line_of(row, now)

    def _show_empty(self) -> None:
        lines: Sequence[Sequence[Part]]
        if self.problem and not self._all:
            lines = (
                ((f"   {clean_line(self.problem)}", Role.FAILED),),
                (("   It is asked again by itself.", Role.MUTED),),
            )
        elif not self.loaded:
            lines = ((("   reading", Role.MUTED),),)
        elif self.filter:
            lines = (
                ((f"   No {self.NOUN} matches ", Role.TEXT), (clean_line(self.filter), Role.ACCENT)),
                (
                    ("   esc", Role.KEY),
                    (" clears the filter, ", Role.MUTED),
                    ("/", Role.KEY),
                    (" changes it.", Role.MUTED),
                ),
            )
        else:
            lines = self.nothing()
        self.table.show_empty(tuple(tuple(line) for line in lines))

    # What the keys do

    def target(self) -> R | None:
        """The row that a key means; None, and why, where it means none."""
        row = self.table.row
        if row is None:
            self.say(f"no {self.NOUN} here")
        elif time.monotonic() - self._moved < _GRACE:
            self.say("the list has just moved: look, then press again", Role.WAIT)
        else:
            return row
        return None

    async def done(self, call: Callable[[], Awaitable[str]]) -> bool:
        """Ask something of the engine and say what came of it; the list is read again. Whether it went well."""
        said = await self.attempt(self._asked(call))
        if said is not None:
            self.say(said)
            self.reload()
        return said is not None

    async def _asked(self, call: Callable[[], Awaitable[str]]) -> str:
        self.desk.require_engine()
        return await call()

    def ask_for(self, sign: str, text: str, then: Callable[[str], object]) -> None:
        """Let a line be typed, and do something with it."""
        self._then = then
        self.ask.prompt("line", sign, clean_line(text))

    def on_ask_bar_changed(self, event: AskBar.Changed) -> None:
        if event.kind == "filter":
            self.narrow(event.text)

    def on_ask_bar_entered(self, event: AskBar.Entered) -> None:
        if event.kind == "filter":
            self.narrow(event.text)
        elif event.kind == "sort":
            self.action_sort(event.text)
        elif event.kind == "line" and self._then is not None:
            then, self._then = self._then, None
            then(event.text.strip())

    def on_ask_bar_left(self, event: AskBar.Left) -> None:
        if event.kind == "filter":
            self.narrow(self._before_prompt)

    def narrow(self, text: str) -> None:
        """Show only the rows that have these words."""
        text = " ".join(text.split())
        if text != self.filter:
            self.filter = text
            self.show_rows()

    def action_filter(self, text: str = "") -> None:
        if text:
            self.narrow(text)
        else:
            self._before_prompt = self.filter
            self.ask.prompt("filter", "/", self.filter)

    def action_sort(self, column: str = "") -> None:
        names = ", ".join(field.name.lower() for field in self.FIELDS)
        if not column:
            self.ask.prompt("sort", f"sort by {names}:")
            return
        field = named(self.FIELDS, column)
        if field is None and column.strip() != "none":
            self.say(f"there is no column {column.strip()!r}: {names}, or none", Role.FAILED)
            return
        self.table.sorted_by, self.table.down = (field.name if field else ""), bool(field and field.to_right)
        self.show_rows()

    def action_reverse_sort(self) -> None:
        self.table.down = not self.table.down
        self.show_rows()

    def action_open(self) -> None:
        row = self.table.row
        if row is not None:
            self.open_row(row)

    def action_next_pane(self) -> None:
        self.set_focus(self.table if self.focused is self.text or not self.previews else self.text)

    def action_previous_pane(self) -> None:
        self.action_next_pane()

    def action_zoom(self) -> None:
        zoomed = self.has_class("-zoom-text") or self.has_class("-zoom-list")
        self.zoom(None if zoomed else self.focused)

    def zoom(self, widget: Widget | None) -> None:
        """Give the whole body to the list or to the preview, or back to both."""
        self._own = False
        self.set_class(widget is self.text, "-zoom-text")
        self.set_class(widget is self.table, "-zoom-list")
        self._show_told()
        self.set_focus(self.text if widget is self.text else self.table)

    def action_clear(self) -> None:
        if self.has_class("-zoom-text") or self.has_class("-zoom-list"):
            self.zoom(None)
        elif self.table.range_start is not None or self.table.marks:
            self.table.range_start = None
            self.table.marks.clear()
            self.show_rows()
        elif self.filter:
            self.narrow("")
        elif self.focused is not self.table:
            self.set_focus(self.table)
