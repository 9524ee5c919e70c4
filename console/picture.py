"""A picture of the console at work, drawn without a terminal."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from console.app import ConsoleApp
from console.client import EngineClient
from console.desk import Desk
from console.screens.queue import QueueScreen
from console.theme import DEFAULT, Ink, load_themes
from engine.errors import HeadwayError

#: Seconds that the panes get to fill, and lines that each should have by then.
_PATIENCE, _LINES = 10.0, 4


async def picture(client: EngineClient, path: Path, width: int, height: int) -> None:
    """Draw the queue screen of an engine at `width` x `height` cells and save it as SVG.

    Waits until rows and preview have content. Raises `HeadwayError` where the engine does not answer or nothing ran
    for ten seconds.
    """
    desk = Desk(client, Ink(load_themes()[DEFAULT]), "demo")
    app = ConsoleApp(desk, first="queue")
    async with app.run_test(size=(width, height)) as pilot:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not _filled(app, _LINES):
                    await pilot.pause(0.1)
        except TimeoutError:
            if not _filled(app, 1):
                raise HeadwayError(desk.why_offline or "nothing runs here, so there is nothing to draw") from None
        await pilot.pause(0.5)
        svg = app.export_screenshot(title=f"headway@{desk.host}")
    try:
        path.write_text(_without_fetches(svg), encoding="utf-8")
    except OSError as error:
        raise HeadwayError(f"{path}: {error.strerror}") from None


def _without_fetches(svg: str) -> str:
    """A picture that asks no server for its font: the reader's own monospace has to do."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code", "font-family: 'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas")


def _filled(app: ConsoleApp, lines: int) -> bool:
    """The table has rows, and what the job under the cursor says has so many lines."""
    screen = app.screen
    if not isinstance(screen, QueueScreen) or screen.rows.cursor_job is None:
        return False
    return not screen.preview.display or screen.preview.entry_count >= lines
