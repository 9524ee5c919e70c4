"""A picture of the console at work, drawn without a terminal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from console.app import ConsoleApp
from console.client import EngineClient
from console.desk import Desk
from console.screens.places import BY_NAME
from console.screens.queue import QueueScreen
from console.svg import check_name, save
from console.theme import DEFAULT, Ink, load_themes
from engine.errors import HeadwayError, UsageError

#: Seconds that a screen gets to fill, that it has to stand still, and lines that a preview should have by then.
_PATIENCE, _STILL, _LINES = 10.0, 0.6, 4


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be drawn: a screen by its name, columns and rows, a theme."""

    screen: str = "queue"
    size: tuple[int, int] = (120, 36)
    theme: str = DEFAULT
    host: str = "demo"
    """What stands after `headway@`."""


def read_size(text: str) -> tuple[int, int]:
    """`120x36`. Raises `UsageError` for anything else."""
    columns, _, rows = text.partition("x")
    if not (
        text.isascii()
        and len(text) < 20
        and columns.isdigit()
        and rows.isdigit()
        and 0 < int(columns) <= 500
        and 0 < int(rows) <= 300
    ):
        raise UsageError(f"--size {text}: write it as COLSxROWS, such as 120x36")
    return int(columns), int(rows)


async def picture(client: EngineClient, path: Path, wanted: Picture | None = None, *, at_work: bool = False) -> None:
    """Draw a screen of an engine and save it as SVG, once what it shows stands still.

    With `at_work` the queue has to have rows, and something to see of the first. Raises `HeadwayError` where the engine
    does not answer, or nothing ran for ten seconds.
    """
    check_name(path)
    wanted = wanted or Picture()
    if wanted.screen not in BY_NAME:
        raise UsageError(f"there is no screen {wanted.screen!r}; there are {', '.join(BY_NAME)}")
    themes = load_themes()
    if wanted.theme not in themes:
        raise UsageError(f"there is no theme {wanted.theme!r}; there are {', '.join(themes)}")
    desk = Desk(client, Ink(themes[wanted.theme]), wanted.host)
    app = ConsoleApp(desk, first=wanted.screen, fixed_theme=wanted.theme)
    async with app.run_test(size=wanted.size) as pilot:
        try:
            async with asyncio.timeout(_PATIENCE):
                while at_work and not _filled(app, _LINES):
                    await pilot.pause(0.1)
                await _until_still(app, pilot)
        except TimeoutError:
            if at_work and not _filled(app, 1):
                raise HeadwayError(desk.why_offline or "nothing runs here, so there is nothing to draw") from None
        if desk.status is None:
            raise HeadwayError(desk.why_offline or "the engine does not answer")
        save(app, path, f"headway@{desk.host}")


async def _until_still(app: ConsoleApp, pilot: Pilot[None]) -> None:
    """Until the screen has shown the same for a moment; what runs may keep it from that."""
    before = None
    while (now := _text(app)) != before or app.desk.status is None:
        before = now
        await pilot.pause(_STILL)


def _text(app: ConsoleApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def _filled(app: ConsoleApp, lines: int) -> bool:
    """The table has rows, and what the job under the cursor says has so many lines."""
    screen = app.screen
    if not isinstance(screen, QueueScreen) or screen.rows.cursor_job is None:
        return False
    return not screen.preview.display or screen.preview.entry_count >= lines
