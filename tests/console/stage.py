"""The real app on a stand-in engine: opening it, waiting for it, reading what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import ConsoleApp
from console.beat import Beat, Link
from console.desk import Desk
from console.screens.job import JobScreen
from console.screens.overview import OverviewScreen
from console.screens.queue import QueueScreen
from console.screens.workers import WorkersScreen
from console.theme import DEFAULT, Ink, load_themes
from tests.console.fake import NOW, FakeEngine

_PATIENCE = 30.0  #: seconds after which a condition that never comes true is called so


@dataclass
class Stage:
    engine: FakeEngine
    app: ConsoleApp
    pilot: Pilot[None]
    now: int = NOW

    @property
    def queue(self) -> QueueScreen:
        return next(frame for frame in self.app.frames if isinstance(frame, QueueScreen))

    @property
    def workers(self) -> WorkersScreen:
        screen = self.app.screen
        assert isinstance(screen, WorkersScreen)
        return screen

    @property
    def overview(self) -> OverviewScreen:
        screen = self.app.screen
        assert isinstance(screen, OverviewScreen)
        return screen

    @property
    def job(self) -> JobScreen:
        screen = self.app.screen
        assert isinstance(screen, JobScreen)
        return screen

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, a string a row."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def ask(self) -> str:
        return self.lines[-2].strip()

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"never came true{': ' + what if what else ''}\n{self.text}") from None

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in self.text, f"the screen shows {text!r}")

    async def press(self, *keys: str) -> None:
        """Press keys, each after the one before it was dealt with. Quicker than the pilot's own, which waits thrice."""
        for key in keys:
            name, char = (_character_to_key(key), key) if len(key) == 1 else (key, " " if key == "space" else None)
            self.app.post_message(Key(name, char))
            await self.pilot._wait_for_screen()
        await self.settle()

    async def settle(self) -> None:
        """Let every widget deal with the messages that it has, and with those that come of them."""
        for _ in range(3):
            await self.pilot._wait_for_screen()

    async def later(self, by: int = 1_000) -> None:
        """Let the clock go on by so many milliseconds, once what the engine said before has been taken.

        A beat between the two would use the new second up for nothing, and here no other second comes by itself.
        """
        while not self.engine.heard:
            await asyncio.sleep(0)
        self.now += by

    async def type(self, text: str) -> None:
        """Fill in the prompt that a key before it opens."""
        await self.until(lambda: isinstance(self.app.focused, Input), "there is something to type in")
        field = self.app.focused
        assert isinstance(field, Input)
        field.insert_text_at_cursor(text)
        await self.settle()


class QuickBeat(Beat):
    """As many pulses as the link allows, in a shorter time."""

    @property
    def interval(self) -> float:
        return 0.04


@asynccontextmanager
async def console(
    engine: FakeEngine, width: int = 100, height: int = 26, *, ascii: bool = False, link: Link = Link.LOCAL
) -> AsyncIterator[Stage]:
    """The app, up, with its first order read where the engine answers."""
    stages: list[Stage] = []
    desk = Desk(engine, Ink(load_themes()[DEFAULT]), "hal", link, ascii, clock=lambda: stages[0].now if stages else NOW)
    app = ConsoleApp(desk, first="queue")
    app.beat = QuickBeat(link)
    async with app.run_test(size=(width, height)) as pilot:
        stage = Stage(engine, app, pilot)
        stages.append(stage)
        queue = stage.queue
        if not engine.away:
            first = queue.rows
            await stage.until(
                lambda: queue.loaded and (not len(queue.source) or first.cursor_job is not None), "the queue is read"
            )
        yield stage
