"""Whole screens as text, to be read in a review. `HEADWAY_WRITE_SCREENS=1` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from console.format import ascii_glyphs
from console.status import MARKS
from tests.console import journeys, scenes
from tests.console.fake import FakeEngine
from tests.console.stage import Stage, console

SCREENS = Path(__file__).parent / "screens"
SIZES = [(80, 24), (120, 40), (200, 60)]


async def nothing(stage: Stage) -> None:
    await stage.shows("headway submit")


async def at_work(stage: Stage) -> None:
    await stage.shows("publish what J4833 built")
    await stage.shows("after J4833")
    if stage.app.size.height > 24:
        await stage.shows("The comments survive")


async def workers(stage: Stage) -> None:
    await stage.press("3")
    if stage.app.size.width < 100:
        await stage.shows("LAST WORD")
        await stage.shows("make bench")
        return
    for text in ("bench  39", "The comments survive"):
        await stage.shows(text)
    await stage.until(lambda: all(not pane._waiting for pane in stage.workers.wall.panes))


async def overview(stage: Stage) -> None:
    await stage.press("1")
    await stage.shows("last hour")
    await stage.shows("Which parser is canonical?")


async def in_time(stage: Stage) -> None:
    await stage.press("1")
    await stage.shows("last hour")
    await stage.press("w")
    await stage.shows("all of it")


async def first_run(stage: Stage) -> None:
    await stage.press("1")
    await stage.shows("then codex is ready")


async def nothing_reached(stage: Stage) -> None:
    await stage.press("1")
    await stage.shows("no engine serves /home/you")


async def no_workers(stage: Stage) -> None:
    await stage.press("3")
    await stage.shows("No agent is at work")


async def sorting(stage: Stage) -> None:
    await at_work(stage)
    await stage.press("s", "j")
    await stage.shows("the dearest first")


async def rerouting(stage: Stage) -> None:
    await at_work(stage)
    await stage.press("n", "space", "space", "R")
    await stage.shows("all done in 2h00")


async def unreachable(stage: Stage) -> None:
    await stage.shows("no engine serves /home/you")


async def asked(stage: Stage) -> None:
    await at_work(stage)
    await stage.press("j", "space", "space", "x")
    await stage.shows("cancel 2 jobs")


async def diff_tab(stage: Stage) -> None:
    await stage.press("d")
    await stage.shows("+def test_comments_survive():")


async def attempts_tab(stage: Stage) -> None:
    await stage.press("n", "t", "[", "[", "[")
    await stage.shows("attempt 3")
    await stage.shows("lines below")


async def gate_tab(stage: Stage) -> None:
    await stage.press("c")
    await stage.shows("check 2 of 3 runs: make lint")
    await stage.shows("lines below" if stage.app.size.height < 60 else "All tests pass.")


async def no_gate(stage: Stage) -> None:
    await stage.press("c")
    await stage.shows("headway submit --gate NAME")


async def gate_not_reached(stage: Stage) -> None:
    await stage.press("enter")
    await stage.shows("[Log]")
    stage.engine.away = "no engine serves /home/you/.local/state/headway"
    await stage.press("c")
    await stage.shows("no engine serves /home/you")


async def timeline(stage: Stage) -> None:
    await stage.press("t")
    await stage.shows("» Edit src/parser/tokens.py")


async def help_screen(stage: Stage) -> None:
    await stage.press("?")
    await stage.shows("on the queue screen")


async def inbox(stage: Stage) -> None:
    await at_work(stage)
    await stage.press("i")
    await stage.shows("Push the tag")


async def no_cards(stage: Stage) -> None:
    await stage.press("i")
    await stage.shows("Nothing waits for you")


Scene = tuple[str, Callable[[], FakeEngine], Callable[[Stage], Awaitable[None]]]
SCENES: list[Scene] = [
    ("empty", scenes.empty, nothing),
    ("busy", scenes.busy, at_work),
    ("error", scenes.away, unreachable),
    ("workers", scenes.busy, workers),
    ("overview", scenes.asking, overview),
    ("gantt", scenes.busy, in_time),
    ("timeline", scenes.busy, timeline),
    ("inbox", scenes.asking, inbox),
    ("gate", journeys.gated, gate_tab),
]
AT_80: list[Scene] = [
    ("ask", scenes.busy, asked),
    ("diff", scenes.busy, diff_tab),
    ("attempts", scenes.busy, attempts_tab),
    ("help", scenes.busy, help_screen),
    ("no-workers", scenes.empty, no_workers),
    ("first-run", scenes.first_day, first_run),
    ("overview-error", scenes.away, nothing_reached),
    ("sort", scenes.busy, sorting),
    ("reroute", scenes.busy, rerouting),
    ("no-cards", scenes.empty, no_cards),
    ("no-gate", scenes.busy, no_gate),
    ("gate-error", scenes.busy, gate_not_reached),
]


@pytest.mark.parametrize(
    ("scene", "size"),
    [*((scene, size) for scene in SCENES for size in SIZES), *((scene, (80, 24)) for scene in AT_80)],
    ids=lambda value: value[0] if isinstance(value[0], str) else f"{value[0]}x{value[1]}",
)
async def test_the_screen_looks_as_it_was_reviewed(scene: Scene, size: tuple[int, int]) -> None:
    name, engine, arrange = scene
    async with console(engine(), *size) as stage:
        stage.app.feed.flush()
        await arrange(stage)
        await stage.pilot.pause()
        lines = stage.lines
    assert len(lines) == size[1]
    shown = "\n".join(lines) + "\n"
    path = SCREENS / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("HEADWAY_WRITE_SCREENS"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


async def test_in_ascii_no_glyph_of_ours_is_left() -> None:
    async with console(scenes.busy(), ascii=True) as stage:
        await stage.shows("J4836")
        left = {char for char in stage.text if not char.isascii() and ascii_glyphs(char).isascii()}
        assert left == set()
        assert not {mark.glyph for mark in MARKS if not mark.glyph.isascii()} & set(stage.text)
        assert "> 0 J4833" in stage.text
