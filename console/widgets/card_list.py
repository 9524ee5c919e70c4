"""The list of cards that wait. The cursor belongs to a card's id: where that is answered elsewhere, it says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.cards import stands
from console.desk import Desk
from console.draw import draw
from console.format import age, clean_line, fit, job_name, right
from console.roles import Ground, Part, Role
from engine.decision import Card, CardKind

#: Cells of the columns before the words of a card, in a wide list and in a narrow one.
_WIDE = (("CARD", 5), ("KIND", 10), ("JOB", 7), ("AGE", 5), ("STANDS", 12), ("TOOL", 10))
_NARROW = (("CARD", 5), ("JOB", 7), ("STANDS", 12), ("TOOL", 8))
_ROOMY = 76  #: cells from which the wide columns are shown


class CardList(Widget, can_focus=True):
    """One line a card, the oldest first."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another card. `by_key`: because the operator moved it."""

        def __init__(self, by_key: bool) -> None:
            super().__init__()
            self.by_key = by_key

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="cards")
        self._desk = desk
        self.cards: list[Card] = []
        self.cursor = 0
        self._top = 0
        self._empty: tuple[tuple[Part, ...], ...] = ()
        self._now = desk.clock()
        self._stands: dict[int, str] = {}

    @property
    def card(self) -> Card | None:
        """The card under the cursor."""
        return self.cards[self.cursor] if self.cursor < len(self.cards) else None

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def take(self, cards: Sequence[Card], wanted: int | None = None) -> None:
        """Show these. The cursor stays with its card, or goes to `wanted`; else it stays at its place."""
        before = self.card
        self.cards = list(cards)
        ids = [card.id for card in self.cards]
        keep = wanted if wanted in ids else before.id if before is not None else None
        self.cursor = ids.index(keep) if keep in ids else min(self.cursor, max(0, len(ids) - 1))
        self._reveal()
        self._stands.clear()
        self.refresh()
        if self.card != before:
            self.post_message(self.Moved(by_key=wanted is not None))

    def show_empty(self, lines: tuple[tuple[Part, ...], ...]) -> None:
        """What stands in an empty list."""
        if lines != self._empty:
            self._empty = lines
            self.refresh()

    def tick(self, now: int) -> None:
        """Draw the rows whose countdown or age has another text by now."""
        self._now = now
        for index in range(self._top, min(self._top + self._height, len(self.cards))):
            if self._stands.get(index) != self._cells(self.cards[index]):
                self.refresh(Region(0, index - self._top + 1, self.size.width, 1))

    def _columns(self) -> tuple[tuple[str, int], ...]:
        return _WIDE if self.size.width >= _ROOMY else _NARROW

    def _cells(self, card: Card) -> str:
        texts = {
            "CARD": right(str(card.id), 4),
            "KIND": card.kind.value,
            "JOB": job_name(card.job),
            "AGE": age(self._now - card.at, 5),
            "STANDS": stands(card, self._now),
            "TOOL": clean_line(card.tool) if card.kind is CardKind.PERMISSION else "-",
        }
        return " ".join(fit(texts[name], width) for name, width in self._columns())

    def render_line(self, y: int) -> Strip:
        desk, width = self._desk, self.size.width
        if y == 0:
            heads = " ".join(fit(name, cells) for name, cells in self._columns())
            head: list[Part] = [(f"   {heads} ASKS", Role.MUTED)]
            return draw(desk.ink, head, width, ground=Ground.HEAD, ascii=desk.ascii)
        index = self._top + y - 1
        if index >= len(self.cards):
            blank = self._empty[y - 2] if not self.cards and 0 <= y - 2 < len(self._empty) else ()
            return draw(desk.ink, blank, width, ascii=desk.ascii)
        card = self.cards[index]
        cells = self._stands[index] = self._cells(card)
        parts: list[Part] = [
            (" ! ", Role.YOU),
            (f"{cells} ", Role.MUTED),
            (fit(clean_line(card.summary), max(1, width - cell_len(cells) - 5)), Role.TEXT),
        ]
        ground = Ground.PAGE
        if index == self.cursor:
            ground = Ground.CURSOR if self.has_focus else Ground.CURSOR_IDLE
        return draw(desk.ink, parts, width, ground=ground, ascii=desk.ascii)

    def move_to(self, index: int) -> None:
        index = max(0, min(index, len(self.cards) - 1))
        if self.cards and index != self.cursor:
            self.cursor = index
            self._reveal()
            self.refresh()
            self.post_message(self.Moved(by_key=True))

    def _reveal(self) -> None:
        if self.cursor < self._top:
            self._top = self.cursor
        elif self.cursor >= self._top + self._height:
            self._top = self.cursor - self._height + 1
        self._top = max(0, min(self._top, len(self.cards) - self._height))

    def on_resize(self, event: Resize) -> None:
        self._reveal()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        if event.y >= 1:
            self.move_to(self._top + event.y - 1)

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        self.move_to(self.cursor + max(1, self._height // 2))

    def action_half_up(self) -> None:
        self.move_to(self.cursor - max(1, self._height // 2))

    def action_page_down(self) -> None:
        self.move_to(self.cursor + self._height)

    def action_page_up(self) -> None:
        self.move_to(self.cursor - self._height)

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.cards) - 1)
