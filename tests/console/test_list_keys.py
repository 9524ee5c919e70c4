"""What every list can do: narrow, sort, read a row; and that the cursor belongs to its row."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.actions import BY_ID, Action
from console.screens import listing
from console.screens.job import JobScreen
from console.screens.limits import LimitsScreen
from engine.model import Verb
from engine.window import Standing
from tests.console import ledger
from tests.console.stage import Stage, console
from tests.console.test_lists import settled


async def limits(stage: Stage) -> LimitsScreen:
    screen = await settled(stage, "limits")
    assert isinstance(screen, LimitsScreen)
    return screen


async def test_a_list_is_narrowed_while_it_is_typed_and_escape_brings_it_back() -> None:
    async with console(ledger.laden()) as stage:
        screen = await limits(stage)
        await stage.press("/")
        await stage.type("stands:closed")
        await stage.until(lambda: [row.who for row in screen.table.rows] == ["codex@team"])
        await stage.press("enter")
        await stage.shows("1 of 6")
        await stage.press("/")
        await stage.type(" nowhere")
        await stage.shows("No limit matches")
        await stage.press("escape")
        await stage.until(lambda: len(screen.table.rows) == 1)
        await stage.press("escape")
        await stage.until(lambda: len(screen.table.rows) == 6)


async def test_a_list_is_sorted_by_any_column_and_the_cursor_stays_with_its_row() -> None:
    async with console(ledger.laden()) as stage:
        screen = await limits(stage)
        await stage.press("j")
        assert screen.table.row is not None and screen.table.row.what == "seven_day opus"
        await stage.press("s")
        await stage.type("used")
        await stage.press("enter")
        await stage.shows("USED▾")
        assert [row.used for row in screen.table.rows[:3]] == [1.0, 0.91, 0.74]
        assert screen.table.row.what == "seven_day opus"
        await stage.press("S")
        await stage.until(lambda: [row.used for row in screen.table.rows[:3]] == [0.74, 0.91, 1.0])
        stage.app.perform(_sort(), "nonsense")
        await stage.shows("there is no column 'nonsense'")
        assert screen.table.row.what == "seven_day opus"


async def test_a_key_does_not_meet_a_row_that_has_just_come_under_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_GRACE", 600.0)
    engine = ledger.laden()
    async with console(engine) as stage:
        screen = await limits(stage)
        engine.books.windows = engine.books.windows[1:]
        screen.reload()
        await stage.until(lambda: len(screen.table.rows) == 5)
        await stage.press("t")
        await stage.shows("the list has just moved")
        assert engine.books.asked == []


async def test_limits_are_tried_and_accounts_held_and_released() -> None:
    engine = ledger.laden()
    async with console(engine) as stage:
        await limits(stage)
        await stage.press("j", "j", "t")
        await stage.until(lambda: engine.books.asked == [("try", "codex@team")])
        await stage.shows("codex@team is waited for no longer")
        await stage.press("h")
        await stage.until(
            lambda: [(one.verb, one.scope) for one in engine.orders] == [(Verb.HOLD, "account:codex@team")]
        )
        await stage.press("u")
        await stage.until(lambda: engine.orders[-1].verb is Verb.RELEASE)
        engine.go_away()
        await stage.shows("offline")
        await stage.press("t")
        await stage.shows("the engine does not answer")
        assert len(engine.books.asked) == 1


async def test_enter_on_a_row_opens_its_job_or_reads_what_is_known_of_it() -> None:
    async with console(ledger.laden()) as stage:
        screen = await limits(stage)
        await stage.press("enter")
        await stage.until(lambda: stage.app.focused is screen.text)
        await stage.shows("at this rate")
        await stage.press("escape", "G", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.shows("Limits › J4838")
        await stage.press("escape")
        assert stage.app.screen is screen


async def test_a_list_in_sight_is_read_again_and_one_out_of_sight_is_not() -> None:
    engine = ledger.laden()
    async with console(engine) as stage:
        screen = await limits(stage)
        screen.EVERY = 0.0  # type: ignore[misc]
        engine.books.windows = [replace(engine.books.windows[0], standing=Standing.CLOSED)]
        await stage.until(lambda: len(screen.table.rows) == 3)
        await stage.press("2")
        await stage.settle()
        engine.books.windows = []
        reads = screen._read_at
        await stage.pilot.pause(0.2)
        assert screen._read_at == reads
        await stage.press("`")
        await stage.until(lambda: len(screen.table.rows) == 2)


def _sort() -> Action:

    return BY_ID["sort"]
