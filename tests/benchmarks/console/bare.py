"""An empty Textual app with a cursor that moves: what a first paint and a key cost at least."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static


class Bare(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("j", "down"), Binding("q", "quit")]
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        yield Static("ready", id="words")
        self._count = 0

    def action_down(self) -> None:
        self._count += 1
        self.query_one("#words", Static).update(f"ready {self._count}", layout=False)


if __name__ == "__main__":
    Bare().run()
