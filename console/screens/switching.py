"""Which screen is in sight. Each place keeps a stack of its own, with its cursor, filter, sort and scroll."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import App
from textual.screen import Screen

from console.desk import Desk
from console.screens.frame import Frame
from console.screens.places import BY_NAME, PLACES, Place


class Switching(App[None], inherit_bindings=False):
    """An app whose places are Textual's modes."""

    def __init__(self, desk: Desk, first: str) -> None:
        self.DEFAULT_MODE = first  # type: ignore[misc]  # looked at by what comes next
        super().__init__()
        self.desk = desk
        self._before = first
        for place in PLACES:
            self.add_mode(place.name, partial(place.make, desk))

    @property
    def place(self) -> Place:
        """Where the operator is."""
        return BY_NAME[self.current_mode]

    @property
    def frame(self) -> Frame | None:
        """The console screen that is in sight, below the palette where that is open."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Frame)), None)

    @property
    def frames(self) -> Iterator[Frame]:
        """Every console screen that is there, in sight or not."""
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, Frame) and screen.is_attached:
                    yield screen

    async def go(self, name: str) -> Screen[Any]:
        """Show a place as it was left; where the operator is there already, its own screen. That screen."""
        from console.screens.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            await self.pop_screen()
        if name == self.current_mode:
            while len(self.screen_stack) > 1:
                await self.pop_screen()
        else:
            self._before = self.current_mode
            await self.switch_mode(name)
        return self.screen_stack[0]

    async def action_go(self, name: str) -> None:
        await self.go(name)

    async def show_jobs(self, filter: str) -> None:
        """Go to the queue, narrowed to these."""
        from console.screens.queue import QueueScreen

        queue = await self.go("queue")
        if isinstance(queue, QueueScreen):
            queue.try_filter(filter, entered=True)

    async def action_last_screen(self) -> None:
        await self.go(self._before)
