"""Every screen that is a list, as text at three sizes: laden, empty, and with no engine. One app for all sizes."""

from __future__ import annotations

import os

import pytest

from console.actions import BY_ID
from console.screens.listing import ListScreen
from console.screens.places import PLACES
from tests.console import ledger, scenes
from tests.console.moment import NOW
from tests.console.stage import Stage, console
from tests.console.test_screens import SCREENS, SIZES

LISTS = [place for place in PLACES if issubclass(place.screen, ListScreen)]


async def settled(stage: Stage, name: str) -> ListScreen[object]:
    """The screen of a place, with its rows and its preview drawn."""
    await stage.press(BY_ID[f"go_{name}"].keys[0])
    await stage.until(lambda: stage.app.place.name == name)
    screen = stage.app.screen
    assert isinstance(screen, ListScreen)
    await stage.until(lambda: screen.loaded or screen.problem)
    return screen


async def drawn(stage: Stage, screen: ListScreen[object]) -> None:
    # Of this screen alone: the one before it may follow a job's log for as long as that runs.
    own = [worker for worker in stage.app.workers if worker.node is screen and worker.group == "preview"]
    await stage.until(lambda: not any(worker.is_running for worker in own))
    await stage.until(
        lambda: screen.above.size.height == len(screen.above_lines(NOW)), "what is above the list is laid out"
    )
    await stage.pilot.pause()
    await stage.settle()


def reviewed(stage: Stage, name: str) -> None:
    """What stands on the screen is what was reviewed."""
    width, height = stage.app.size
    shown = "\n".join(stage.lines) + "\n"
    assert len(stage.lines) == height
    path = SCREENS / f"{name}-{width}x{height}.txt"
    if os.environ.get("HEADWAY_WRITE_SCREENS"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_laden_list_looks_as_it_was_reviewed(size: tuple[int, int]) -> None:
    async with console(ledger.laden(), *size) as stage:
        for place in LISTS:
            screen = await settled(stage, place.name)
            await drawn(stage, screen)
            assert screen.table.rows, place.name
            reviewed(stage, place.name)


async def test_an_empty_list_says_what_to_do() -> None:
    async with console(scenes.empty(), 80, 24) as stage:
        for place in LISTS:
            screen = await settled(stage, place.name)
            await drawn(stage, screen)
            if not screen.table.rows:
                reviewed(stage, f"no-{place.name}")


async def test_without_an_engine_a_list_says_so_and_comes_by_itself() -> None:
    engine = scenes.away()
    async with console(engine, 80, 24) as stage:
        for place in LISTS:
            await settled(stage, place.name)
            await stage.shows("no engine serves /home/you")
            await stage.shows("It is asked again by itself")
        engine.come_back()
        await stage.until(lambda: stage.app.desk.offline_since is None)
        screen = stage.app.screen
        assert isinstance(screen, ListScreen)
        await stage.until(lambda: screen.loaded)


async def test_a_list_is_laid_out_anew_when_the_terminal_changes() -> None:
    async with console(ledger.laden(), 80, 24) as stage:
        screen = await settled(stage, "limits")
        assert not screen.previews
        await stage.pilot.resize_terminal(120, 40)
        await stage.until(lambda: screen.has_class("-below"))
        await stage.shows("stands ")
        await stage.pilot.resize_terminal(200, 60)
        await stage.until(lambda: screen.has_class("-right"))


async def test_in_ascii_no_glyph_of_ours_is_left_on_a_list() -> None:
    async with console(ledger.laden(), 120, 40, ascii=True) as stage:
        for place in LISTS:
            await drawn(stage, await settled(stage, place.name))
            assert stage.text.isascii() or not set("█▁▇·✓✗◔↻▾▴") & set(stage.text), stage.text
