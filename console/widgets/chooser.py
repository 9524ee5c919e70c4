"""A few things to choose from, above the ask-bar: in place of a dialog, and with the list still in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click, Key
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.desk import Desk
from console.draw import draw
from console.format import clean_line, fit
from console.roles import Ground, Part, Role

MOST_ROWS = 8  #: in sight at once


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen."""

    value: str
    cells: tuple[str, ...]
    """What its row says, column by column."""
    dim: bool = False
    """It can be chosen, but there is something against it, which its row says."""


class Chooser(Widget, can_focus=False):
    """A heading with the names of the columns, the choices, and a line on the one under the cursor."""

    DEFAULT_CSS = """
    Chooser { height: auto; width: 1fr; display: none; background: $background; }
    Chooser.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST, Scope.CHOOSE)
    ALLOW_SELECT = False

    @dataclass
    class Moved(Message):
        """The cursor stands on another choice."""

        kind: str
        value: str

    @dataclass
    class Chosen(Message):
        kind: str
        value: str

    class Left(Message):
        """It closed, chosen or not: the keys are for the screen again."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="chooser")
        self._desk = desk
        self.kind = ""
        self.choices: list[Choice] = []
        self._heads: tuple[str, ...] = ()
        self._title = ""
        self._widths: list[int] = []
        self.cursor = 0
        self._top = 0
        self._note: tuple[Part, ...] = ()

    @property
    def busy(self) -> bool:
        return bool(self.kind)

    def open(self, kind: str, title: str, heads: Sequence[str], choices: Sequence[Choice], at: str = "") -> None:
        """Show these; `at` is the value under the cursor first. The keys are for it until one is chosen, or escape."""
        self.kind, self._title, self._heads, self.choices = kind, title, tuple(heads), list(choices)
        rows = [self._heads, *(choice.cells for choice in self.choices)]
        self._widths = [max(len(clean_line(row[n])) for row in rows) for n in range(len(self._heads))]
        values = [choice.value for choice in self.choices]
        self.cursor = values.index(at) if at in values else 0
        self._top, self._note = 0, ()
        self._reveal()
        self.styles.height = min(len(self.choices), MOST_ROWS) + 2
        self.add_class("-open")
        self.can_focus = True
        self.screen.set_focus(self)
        self.refresh()
        self._tell()

    def close(self) -> None:
        if self.kind:
            self.kind = ""
            self.remove_class("-open")
            self.can_focus = False
            self.post_message(self.Left())

    def note(self, value: str, text: str, role: Role = Role.MUTED) -> None:
        """Say something of a choice, if it is still the one under the cursor."""
        if self.kind and self.choices[self.cursor].value == value:
            self._note = ((f"   {clean_line(text)}", role),)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        desk, width = self._desk, self.size.width
        if y == 0:
            heads = "  ".join(fit(head, cells) for head, cells in zip(self._heads, self._widths, strict=True))
            head: list[Part] = [(f" {self._title}  ", Role.HEADING), (heads, Role.MUTED)]
            return draw(desk.ink, head, width, ground=Ground.HEAD_FOCUS, ascii=desk.ascii)
        index = self._top + y - 1
        if y == self.size.height - 1 or index >= len(self.choices):
            return draw(desk.ink, self._note, width, ascii=desk.ascii)
        choice = self.choices[index]
        cells = "  ".join(fit(clean_line(cell), size) for cell, size in zip(choice.cells, self._widths, strict=True))
        indent = " " * (len(self._title) + 2)
        number = str(index + 1) if index < 9 else " "
        parts: list[Part] = [(f"{number} {indent[1:]}", Role.KEY), (cells, Role.OVER if choice.dim else Role.TEXT)]
        ground = Ground.CURSOR if index == self.cursor else Ground.PAGE
        return draw(desk.ink, parts, width, ground=ground, ascii=desk.ascii)

    def move_to(self, index: int) -> None:
        index = max(0, min(index, len(self.choices) - 1))
        if index != self.cursor:
            self.cursor, self._note = index, ()
            self._reveal()
            self.refresh()
            self._tell()

    def _reveal(self) -> None:
        rows = min(len(self.choices), MOST_ROWS)
        self._top = max(min(self._top, self.cursor), self.cursor - rows + 1)

    def _tell(self) -> None:
        self.post_message(self.Moved(self.kind, self.choices[self.cursor].value))

    def on_key(self, event: Key) -> None:
        """A digit chooses; what means nothing here must not reach the list below."""
        if event.key.isdecimal() and 1 <= int(event.key) <= len(self.choices):
            self.move_to(int(event.key) - 1)
            self.action_take()
        if event.key != "ctrl+c" and not self._bindings.key_to_bindings.get(event.key):
            event.stop()
            event.prevent_default()

    def on_click(self, event: Click) -> None:
        index = self._top + event.y - 1
        if event.y and index < len(self.choices):
            self.move_to(index)

    def action_take(self) -> None:
        kind, value = self.kind, self.choices[self.cursor].value
        self.close()
        self.post_message(self.Chosen(kind, value))

    def action_leave(self) -> None:
        self.close()

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        self.move_to(self.cursor + MOST_ROWS // 2)

    def action_half_up(self) -> None:
        self.move_to(self.cursor - MOST_ROWS // 2)

    def action_page_down(self) -> None:
        self.move_to(self.cursor + MOST_ROWS)

    def action_page_up(self) -> None:
        self.move_to(self.cursor - MOST_ROWS)

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.choices) - 1)
