"""Worker panes: which job stands where, what they show, and that reading them is not disturbed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.screens.workers import WorkersScreen
from console.sizes import LINE_MOST
from console.widgets.pane import Pane
from engine.agents import events as say
from engine.events import Claimed, Succeeded
from engine.model import State
from tests.console import scenes
from tests.console.fake import MINUTE, NOW, FakeEngine, make_job
from tests.console.stage import Stage, console


def running(*ids: int) -> FakeEngine:
    engine = FakeEngine([make_job(id, State.RUNNING, title=f"work {id}") for id in ids])
    for id in ids:
        engine.write(id, say.Text(f"hello from {id}"))
    return engine


@asynccontextmanager
async def workers(engine: FakeEngine, width: int = 100, height: int = 26) -> AsyncIterator[Stage]:
    """The screen of the workers, as a wall."""
    async with console(engine, width, height) as stage:
        await stage.press("3")
        await stage.until(lambda: isinstance(stage.app.screen, WorkersScreen) and stage.workers.loaded)
        if stage.workers.listed:
            await stage.press("w")
        await stage.until(lambda: stage.app.focused is not None)
        yield stage


def shown(stage: Stage) -> list[int]:
    return [pane.job.id for pane in stage.workers.wall.panes if pane.job]


def pane_of(stage: Stage, job: int) -> Pane:
    return next(pane for pane in stage.workers.wall.panes if pane.job and pane.job.id == job)


def end(engine: FakeEngine, job: int) -> None:
    engine.change(job, state=State.SUCCEEDED, ended_at=NOW)
    engine.emit(Succeeded(), job)


def start(engine: FakeEngine, job: int) -> None:
    engine.put(make_job(job, State.RUNNING, title=f"work {job}"))
    engine.write(job, say.Text(f"hello from {job}"))
    engine.emit(Claimed(number=1), job)


async def test_every_running_job_speaks_in_a_pane() -> None:
    async with workers(running(1, 2, 3)) as stage:
        for id in (1, 2, 3):
            await stage.shows(f"hello from {id}")
        await stage.engine.speak(2, say.ToolCall(id="1", name="Bash", summary="make test", context_tokens=41_000))
        await stage.shows("» Bash make test")
        await stage.shows("41k")


async def test_a_pane_keeps_its_job_and_an_ended_one_stays_until_it_is_needed() -> None:
    async with workers(running(1, 2)) as stage:
        await stage.until(lambda: sorted(shown(stage)) == [1, 2])
        before = shown(stage)
        end(stage.engine, 1)
        await stage.until(lambda: not pane_of(stage, 1).live)
        assert shown(stage) == before
        await stage.shows("hello from 1")
        start(stage.engine, 7)
        await stage.shows("hello from 7")
        assert shown(stage) == [7 if id == 1 else id for id in before]


async def test_a_running_job_is_not_pushed_out_by_newer_ones() -> None:
    async with workers(running(1, 2), 80, 24) as stage:
        await stage.press("v", "v")
        await stage.until(lambda: sorted(shown(stage)) == [1, 2] and len(stage.workers.wall.query(Pane)) == 2)
        start(stage.engine, 9)
        await stage.shows("2 panes, w lists all")
        assert sorted(shown(stage)) == [1, 2]


async def test_a_new_attempt_begins_its_pane_anew() -> None:
    async with workers(running(1)) as stage:
        await stage.shows("hello from 1")
        stage.engine.change(1, attempts=2)
        stage.engine.emit(Claimed(number=2), 1)
        await stage.until(lambda: pane_of(stage, 1).job.attempts == 2)  # type: ignore[union-attr]
        await stage.shows("hello from 1")


async def test_reading_back_is_not_pulled_down() -> None:
    engine = FakeEngine([make_job(1, State.RUNNING)])
    engine.write(1, *(say.Output(f"line {n}") for n in range(90)))
    async with workers(engine) as stage:
        await stage.shows("line 89")
        await stage.press("g")
        await stage.shows("line 0")
        await engine.speak(1, *(say.Output(f"later {n}") for n in range(5)))
        pane = pane_of(stage, 1)
        await stage.until(lambda: pane.entry_count == 95 and not pane._waiting)
        assert "line 0" in stage.text and "later" not in stage.text
        await stage.press("end")
        await stage.shows("later 4")
        await engine.speak(1, say.Output("the newest"))
        await stage.shows("the newest")


async def test_what_an_agent_says_never_reaches_the_terminal_as_an_escape() -> None:
    async with workers(scenes.busy()) as stage:
        await stage.shows("Writing the page: red and")
        assert all(char.isprintable() for line in stage.lines for char in line)
        assert "owned" not in stage.text


async def test_a_line_of_ninety_thousand_characters_is_cut() -> None:
    engine = FakeEngine([make_job(1, State.RUNNING)])
    engine.write(1, say.Output("x" * 90_000))
    async with workers(engine) as stage:
        await stage.shows("xxxx")
        (row_text,) = {"".join(t for t, _ in entry.parts) for entry in pane_of(stage, 1)._entries}
        assert len(row_text) == LINE_MOST


async def test_a_silent_worker_is_called_quiet() -> None:
    async with workers(running(1)) as stage:
        await stage.shows("hello from 1")
        assert "quiet" not in stage.text
        await stage.later(2 * MINUTE)
        await stage.shows("quiet 2m")


async def test_tab_walks_through_the_panes_and_zoom_gives_one_all_room() -> None:
    async with workers(running(1, 2)) as stage:
        await stage.until(lambda: len(shown(stage)) == 2)
        first, second = stage.workers.wall.panes
        await stage.until(lambda: stage.app.focused is first)
        await stage.press("tab")
        assert stage.app.focused is second
        await stage.until(lambda: 0 < second.size.height <= stage.workers.size.height // 2)
        half = second.size.height
        await stage.press("f")
        await stage.until(lambda: second.size.height > half + 5)
        await stage.press("tab")
        await stage.until(lambda: first.size.height > half + 5)
        await stage.press("f")
        await stage.until(lambda: second.size.height == half)
        await stage.press("shift+tab")
        assert stage.app.focused is second


async def test_layouts_give_so_many_panes_and_the_list_has_all() -> None:
    async with workers(running(1, 2, 3, 4, 5), 120, 40) as stage:
        await stage.until(lambda: len(shown(stage)) == 5)
        for panes in (1, 2, 4):
            await stage.press("v")
            await stage.until(lambda panes=panes: len(shown(stage)) == panes, f"{panes} panes")
        await stage.shows("layout 4")
        await stage.press("v", "v")
        await stage.until(lambda: len(shown(stage)) == 5)
        await stage.press(":")
        await stage.type("layout 3")
        await stage.press("enter")
        await stage.shows("no layout '3'; there are 1, 2, 4, 8 and all")
        await stage.press("w")
        await stage.shows("LAST WORD")
        stage.engine.progress(3, "pytest tests -q")
        await stage.shows("pytest tests -q")
        await stage.press("j", "j", "x")
        await stage.shows("cancel J3?")


async def test_a_narrow_terminal_lists_the_workers() -> None:
    async with console(running(1, 2), 80, 24) as stage:
        await stage.press("3")
        await stage.shows("LAST WORD")
        await stage.shows("work 2")
        await stage.press("j", "enter")
        await stage.shows("Workers › J1")


async def test_without_work_it_says_what_to_press() -> None:
    async with console(scenes.empty(), 120, 40) as stage:
        await stage.press("3")
        await stage.shows("No agent is at work")
    async with console(scenes.away(), 120, 40) as stage:
        await stage.press("3")
        await stage.shows("no engine serves /home/you")


async def test_what_a_worker_said_is_searched_and_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine([make_job(1, State.RUNNING)])
    engine.write(1, *(say.Output(f"line {n}") for n in range(90)))
    async with workers(engine) as stage:
        await stage.shows("line 89")
        await stage.press("/")
        await stage.type("LINE 3")
        await stage.press("enter")
        await stage.shows("11 lines with 'LINE 3': n next, N previous")
        assert "line 39" in stage.text and not pane_of(stage, 1).following
        await stage.press("N", "N")
        await stage.shows("line 37")
        await stage.press("n", "n", "n")
        await stage.shows("no further 'LINE 3'")
        await stage.press("Y")
        await stage.shows("copied ")
        assert "line 39" in stage.app.clipboard
        await stage.press("escape")
        assert pane_of(stage, 1).searched == ""
        monkeypatch.setenv("PAGER", "true")
        await stage.press("P")
        await stage.shows("this terminal cannot be lent")


async def test_the_verbs_of_a_pane_are_for_its_job() -> None:
    async with workers(running(1, 2)) as stage:
        await stage.until(lambda: len(shown(stage)) == 2)
        await stage.press("tab")
        job = stage.workers.wall.panes[1].job
        assert job is not None
        await stage.press("x")
        await stage.shows(f"cancel J{job.id}?")
        await stage.press("y")
        await stage.shows(f"stopping J{job.id}")
        assert stage.engine.by_id[job.id].stopping
        await stage.press("enter")
        await stage.shows(f"Workers › J{job.id}")


async def test_focus_does_not_move_by_itself() -> None:
    async with workers(running(1)) as stage:
        await stage.shows("hello from 1")
        start(stage.engine, 2)
        await stage.shows("hello from 2")
        end(stage.engine, 1)
        await stage.until(lambda: not pane_of(stage, 1).live)
        assert stage.app.focused is pane_of(stage, 1)


async def test_the_newest_word_of_the_row_stands_in_the_ask_bar() -> None:
    async with console(running(1)) as stage:
        stage.engine.progress(1, "pytest -q\x1b[2J", context_tokens=52_000)
        await stage.later()
        await stage.until(lambda: "pytest -q" in stage.ask)
        await stage.press("3")
        await stage.until(lambda: isinstance(stage.app.screen, WorkersScreen) and stage.workers.loaded)
        await stage.shows("52k")
        stage.engine.progress(1, "pytest -q", context_tokens=60_000, context_window=200_000)
        await stage.shows("60k 30%")


async def test_a_pane_learns_the_window_from_the_output_where_no_progress_told_it() -> None:
    async with workers(running(1)) as stage:
        await stage.engine.speak(1, say.Context(90_000, window=100_000))
        await stage.shows("90k 90%")
        await stage.engine.speak(1, say.Compacted(90_000, 9_000, "auto"))
        await stage.shows("9.0k 9%")
