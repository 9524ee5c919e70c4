"""Screens by number: each is there once, and stays as it was left."""

from __future__ import annotations

import subprocess
import sys

from console.actions import BY_ID
from console.screens.inbox import InboxScreen
from console.screens.job import JobScreen
from console.screens.places import PLACES
from tests.console import scenes
from tests.console.stage import console


def test_every_place_has_a_key_and_a_command_and_no_action_goes_nowhere() -> None:
    ways = {id for id in BY_ID if id.startswith("go_")}
    assert ways == {f"go_{place.name}" for place in PLACES}
    for place in PLACES:
        way = BY_ID[f"go_{place.name}"]
        assert way.keys and way.command == place.name


def test_the_console_opens_without_the_code_of_screens_that_are_not_in_sight() -> None:
    script = """
import sys
import console.app
from console.screens.places import BY_NAME, FIRST, read_ahead
BY_NAME[FIRST].screen
early = {name for name in (*BY_NAME, "job", "help") if f"console.screens.{name}" in sys.modules}
assert early == {FIRST}, early
for _ in read_ahead():
    pass
assert all(f"console.screens.{name}" in sys.modules for name in (*BY_NAME, "job", "help"))
"""
    subprocess.run([sys.executable, "-c", script], check=True)


async def test_a_screen_is_as_it_was_left() -> None:
    async with console(scenes.asking()) as stage:
        await stage.press("j", "j", "space")
        await stage.until(lambda: len(stage.queue.rows.marks) == 1)
        row = stage.queue.rows.cursor_id
        await stage.press("4")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
        await stage.shows("git push")
        await stage.press("j", "2")
        await stage.until(lambda: stage.app.frame is stage.queue)
        assert (stage.queue.rows.cursor_id, len(stage.queue.rows.marks)) == (row, 1)
        await stage.press("`")
        inbox = stage.app.screen
        assert isinstance(inbox, InboxScreen)
        assert inbox.list.cursor == 1
        await stage.press("`")
        assert stage.app.frame is stage.queue


async def test_a_job_stays_on_the_screen_that_it_was_opened_from() -> None:
    async with console(scenes.asking()) as stage:
        await stage.press("4")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
        await stage.shows("git push")
        await stage.press("l")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.shows("Inbox › J4833")
        await stage.press("2")
        assert stage.app.frame is stage.queue
        await stage.press("4")
        assert isinstance(stage.app.screen, JobScreen)
        await stage.press("4")
        assert isinstance(stage.app.screen, InboxScreen)


async def test_a_screen_out_of_sight_reads_nothing_and_catches_up() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("4")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
        asked = len(stage.engine.rows_asked)
        stage.engine.progress(4833, "writing")
        await stage.until(lambda: 4833 in stage.app.desk.progress)
        await stage.settle()
        assert len(stage.engine.rows_asked) == asked
        await stage.press("2")
        await stage.until(lambda: len(stage.engine.rows_asked) > asked)
