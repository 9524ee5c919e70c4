"""Worker panes: which job stands where, what they show, and that reading them is not disturbed."""

from __future__ import annotations

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


def shown(stage: Stage) -> list[int]:
    return [pane.job.id for pane in stage.queue.wall.panes if pane.job]


def pane_of(stage: Stage, job: int) -> Pane:
    return next(pane for pane in stage.queue.wall.panes if pane.job and pane.job.id == job)


def end(engine: FakeEngine, job: int) -> None:
    engine.change(job, state=State.SUCCEEDED, ended_at=NOW)
    engine.emit(Succeeded(), job)


def start(engine: FakeEngine, job: int) -> None:
    engine.put(make_job(job, State.RUNNING, title=f"work {job}"))
    engine.write(job, say.Text(f"hello from {job}"))
    engine.emit(Claimed(number=1), job)


async def test_every_running_job_speaks_in_a_pane() -> None:
    async with console(running(1, 2, 3)) as stage:
        for id in (1, 2, 3):
            await stage.shows(f"hello from {id}")
        await stage.engine.speak(2, say.ToolCall(id="1", name="Bash", summary="make test", context_tokens=41_000))
        await stage.shows("» Bash make test")
        await stage.shows("41k")


async def test_a_pane_keeps_its_job_and_an_ended_one_stays_until_it_is_needed() -> None:
    async with console(running(1, 2)) as stage:
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
    async with console(running(1, 2), 80, 24) as stage:
        await stage.until(lambda: sorted(shown(stage)) == [1, 2])
        start(stage.engine, 9)
        await stage.shows("J9")
        assert sorted(shown(stage)) == [1, 2]


async def test_a_new_attempt_begins_its_pane_anew() -> None:
    async with console(running(1)) as stage:
        await stage.shows("hello from 1")
        stage.engine.change(1, attempts=2)
        stage.engine.emit(Claimed(number=2), 1)
        await stage.until(lambda: pane_of(stage, 1).job.attempts == 2)  # type: ignore[union-attr]
        await stage.shows("hello from 1")


async def test_reading_back_is_not_pulled_down() -> None:
    engine = FakeEngine([make_job(1, State.RUNNING)])
    engine.write(1, *(say.Output(f"line {n}") for n in range(90)))
    async with console(engine) as stage:
        await stage.shows("line 89")
        await stage.press("tab", "g")
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
    async with console(scenes.busy()) as stage:
        await stage.shows("Writing the page: red and")
        assert all(char.isprintable() for line in stage.lines for char in line)
        assert "owned" not in stage.text


async def test_a_line_of_ninety_thousand_characters_is_cut() -> None:
    engine = FakeEngine([make_job(1, State.RUNNING)])
    engine.write(1, say.Output("x" * 90_000))
    async with console(engine) as stage:
        await stage.shows("xxxx")
        (row_text,) = {"".join(t for t, _ in entry.parts) for entry in pane_of(stage, 1)._entries}
        assert len(row_text) == LINE_MOST


async def test_a_silent_worker_is_called_quiet() -> None:
    async with console(running(1)) as stage:
        await stage.shows("hello from 1")
        assert "quiet" not in stage.text
        stage.now += 2 * MINUTE
        await stage.shows("quiet 2m")


async def test_tab_walks_from_the_table_through_the_panes_and_zoom_gives_one_all_room() -> None:
    async with console(running(1, 2)) as stage:
        await stage.until(lambda: len(shown(stage)) == 2)
        first, second = stage.queue.wall.panes
        await stage.press("tab")
        assert stage.app.focused is first
        await stage.press("tab")
        assert stage.app.focused is second
        await stage.press("f")
        await stage.until(lambda: second.size.width == 100)
        assert not stage.queue.rows.display or stage.queue.rows.size.width == 0 or "TITLE" not in stage.text
        await stage.press("f")
        await stage.shows("TITLE")
        await stage.press("tab")
        assert stage.app.focused is stage.queue.rows
        await stage.press("shift+tab")
        assert stage.app.focused is second


async def test_the_verbs_of_a_pane_are_for_its_job() -> None:
    async with console(running(1, 2)) as stage:
        await stage.until(lambda: len(shown(stage)) == 2)
        await stage.press("tab", "tab")
        job = stage.queue.wall.panes[1].job
        assert job is not None
        await stage.press("x")
        await stage.shows(f"cancel J{job.id}?")
        await stage.press("y")
        await stage.shows(f"stopping J{job.id}")
        assert stage.engine.by_id[job.id].stopping
        await stage.press("enter")
        await stage.shows(f"Queue › J{job.id}")


async def test_focus_does_not_move_by_itself() -> None:
    async with console(running(1)) as stage:
        await stage.shows("hello from 1")
        start(stage.engine, 2)
        await stage.shows("hello from 2")
        end(stage.engine, 1)
        await stage.until(lambda: not pane_of(stage, 1).live)
        assert stage.app.focused is stage.queue.rows


async def test_the_newest_word_of_the_row_stands_in_the_ask_bar() -> None:
    async with console(running(1)) as stage:
        stage.engine.progress(1, "pytest -q\x1b[2J", context_tokens=52_000)
        stage.now += 1_000
        await stage.until(lambda: "pytest -q" in stage.ask)
        await stage.shows("52k")
        stage.engine.progress(1, "pytest -q", context_tokens=60_000, context_window=200_000)
        await stage.shows("60k 30%")


async def test_a_pane_learns_the_window_from_the_output_where_no_progress_told_it() -> None:
    async with console(running(1)) as stage:
        await stage.engine.speak(1, say.Context(90_000, window=100_000))
        await stage.shows("90k 90%")
        await stage.engine.speak(1, say.Compacted(90_000, 9_000, "auto"))
        await stage.shows("9.0k 9%")
