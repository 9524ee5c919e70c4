"""The keys that work on the screen below, as a list from which each can be done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Action, Scope, bindings, in_scopes
from console.desk import Desk
from console.draw import draw
from console.format import fit
from console.roles import Ground, Part, Role
from console.screens.frame import Frame

#: Cells of the column of keys.
_KEYS = 12


class HelpList(Widget, can_focus=True):
    """Actions under the headings of their scopes; the cursor stands on actions only."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another action."""

    def __init__(self, desk: Desk, scopes: frozenset[Scope]) -> None:
        super().__init__(id="help")
        self._desk = desk
        self._lines: list[Action | Scope | None] = []
        for scope in Scope:
            if scope in scopes:
                self._lines += [None, scope, *in_scopes([scope])] if self._lines else [scope, *in_scopes([scope])]
        self._stops = [index for index, line in enumerate(self._lines) if isinstance(line, Action)]
        self._at = 0
        self._top = 0

    @property
    def action(self) -> Action:
        line = self._lines[self._stops[self._at]]
        assert isinstance(line, Action)
        return line

    @property
    def actions(self) -> list[Action]:
        return [line for line in self._lines if isinstance(line, Action)]

    def render_line(self, y: int) -> Strip:
        desk, index = self._desk, self._top + y
        line = self._lines[index] if index < len(self._lines) else None
        parts: list[Part] = []
        if isinstance(line, Scope):
            parts = [(f" {line}", Role.HEADING)]
        elif line is not None:
            command = f":{line.command} {line.argument}".rstrip() if line.command else ""
            parts = [
                (f"   {fit(desk.keys.shown(line), _KEYS)} ", Role.KEY),
                (fit(line.title, 40), Role.TEXT),
                (f" {command}", Role.MUTED),
            ]
        ground = Ground.CURSOR if index == self._stops[self._at] else Ground.PAGE
        return draw(desk.ink, parts, self.size.width, ground=ground, ascii=desk.ascii)

    def move(self, delta: int) -> None:
        self._at = max(0, min(self._at + delta, len(self._stops) - 1))
        self._reveal()
        self.refresh()
        self.post_message(self.Moved())

    def _reveal(self) -> None:
        line, height = self._stops[self._at], max(1, self.size.height)
        if line < self._top or self._at == 0:
            self._top = 0 if self._at == 0 else line
        elif line >= self._top + height:
            self._top = line - height + 1

    def on_resize(self, event: Resize) -> None:
        self._reveal()

    def action_down(self) -> None:
        self.move(1)

    def action_up(self) -> None:
        self.move(-1)

    def action_half_down(self) -> None:
        self.move(max(1, self.size.height // 2))

    def action_half_up(self) -> None:
        self.move(-max(1, self.size.height // 2))

    def action_page_down(self) -> None:
        self.move(max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        self.move(-max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.move(-len(self._stops))

    def action_last(self) -> None:
        self.move(len(self._stops))


class HelpScreen(Frame):
    """What can be done on the screen below; `enter` does it there. Leaves with the id of the chosen action."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.HELP)
    SCOPES = frozenset({Scope.HELP, Scope.LIST})

    class Chosen(Message):
        """An action is to be carried out on the screen below."""

        def __init__(self, action: Action) -> None:
            super().__init__()
            self.action = action

    def __init__(self, desk: Desk, below: str, about: str, scopes: frozenset[Scope]) -> None:
        super().__init__(desk)
        self._below, self._about = below, about
        self.list = HelpList(desk, scopes)

    def body(self) -> Iterable[Widget]:
        yield self.list

    def home(self) -> Widget | None:
        return self.list

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        return [
            (" Keys", Role.HEADING),
            (f"   on the {self._below} screen", Role.MUTED),
            (f"   {self._about}", Role.TEXT),
        ], ()

    def idle_parts(self, now: int) -> Sequence[Part]:
        return [("money: $1.20 reported   * computed   ~ estimated   ? part of it unknown", Role.MUTED)]

    def action_run(self) -> None:
        self.app.post_message(self.Chosen(self.list.action))

    def action_close_help(self) -> None:
        self.app.pop_screen()
