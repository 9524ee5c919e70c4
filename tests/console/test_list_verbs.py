"""What each of the console's lists can do: every key reaches the engine, and what is grave asks first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from console.actions import BY_ID, Action
from console.screens import editing
from console.screens.events import EventsScreen
from console.screens.frame import Frame
from console.screens.job import JobScreen
from console.screens.memory import MemoryScreen
from console.screens.spend import SpendScreen
from console.timetable import as_yaml
from engine import events as log
from engine.events import Event
from engine.memory.answers import Verb
from engine.money import By
from engine.schedule import ScheduleVerb
from tests.console import ledger
from tests.console.moment import NOW
from tests.console.stage import console
from tests.console.test_lists import settled

Write = Callable[[str], str]


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch) -> list[Write]:
    """What the operator makes of a text, a call at a time, in place of $EDITOR: a test has no terminal to lend."""
    writes: list[Write] = []

    def edited(frame: Frame, text: str, suffix: str) -> str | None:
        return writes.pop(0)(text) if writes else None

    monkeypatch.setattr(editing, "edited", edited)
    return writes


async def test_schedules_are_run_paused_edited_added_and_removed(editor: list[Write]) -> None:
    engine = ledger.laden()
    asked = engine.books.asked
    async with console(engine) as stage:
        screen = await settled(stage, "schedules")
        await stage.press("j", "r")
        await stage.shows("nightly-review submitted: J4841")
        await stage.press("p")
        await stage.until(lambda: [verb for verb, *_ in asked] == [ScheduleVerb.RUN, ScheduleVerb.PAUSE])
        await stage.press("k", "p")
        await stage.until(lambda: asked[-1][:2] == (ScheduleVerb.RESUME, "dep-bump"))
        editor += [lambda text: text.replace("0 6 * * 1", "["), lambda text: text.replace("[", "0 7 * * 1")]
        await stage.press("e")
        await stage.shows("edit it again?")
        await stage.press("y")
        await stage.until(lambda: asked[-1][0] is ScheduleVerb.EDIT)
        assert asked[-1][2].cron == "0 7 * * 1"
        editor.append(lambda text: text.replace("what is to be done", "count the tests"))
        await stage.press("a")
        await stage.type("nightly-count")
        await stage.press("enter")
        await stage.until(lambda: asked[-1][:2] == (ScheduleVerb.ADD, "nightly-count"))
        assert asked[-1][2].job.prompt == "count the tests"
        count = len(asked)
        await stage.press("x")
        await stage.shows("remove the schedule dep-bump?")
        await stage.press("enter", "n")
        await stage.shows("nothing was removed")
        assert len(asked) == count
        await stage.press("x", "y")
        await stage.until(lambda: asked[-1][:2] == (ScheduleVerb.REMOVE, "dep-bump"))
        await stage.press("j", "l")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        assert stage.job.job == 4806
        assert screen.table.row_id == "nightly-review"


def test_a_schedule_reads_back_what_is_written_of_it() -> None:
    from engine.documents import parse
    from engine.schedule import ScheduleSpec

    engine = ledger.laden()
    for schedule in engine.books.schedules:
        assert parse(as_yaml(schedule.spec), "x", ScheduleSpec) == schedule.spec


async def test_memory_is_searched_with_every_term_of_the_score() -> None:
    async with console(ledger.laden(), 120, 40) as stage:
        screen = await settled(stage, "memory")
        await stage.press("r")
        await stage.type("canonical")
        await stage.press("enter")
        await stage.shows("found 1, without no vectors")
        await stage.press("enter")
        for said in ("relevance  0.83", "words 0.90, vector 0.70", "modulation 0.74", "told to 2 attempts"):
            await stage.shows(said)
        await stage.press("escape", "escape")
        await stage.until(lambda: len(screen.table.rows) == 4)


async def test_memory_is_edited_pinned_decided_and_forgotten(editor: list[Write]) -> None:
    engine = ledger.laden()
    asked, core = engine.books.asked, engine.books.core
    async with console(engine) as stage:
        screen = await settled(stage, "memory")
        assert isinstance(screen, MemoryScreen)
        await stage.press("P")
        await stage.until(lambda: asked == [(Verb.EDIT, [14], 0.5, None)])
        editor.append(lambda text: text.upper())
        await stage.press("e")
        await stage.until(lambda: asked[-1][3] == "PARSER/ IS CANONICAL; LEGACY/ IS FROZEN")
        await stage.press("a")
        await stage.shows("only what is proposed is accepted")
        await stage.press("j", "j", "a")
        await stage.until(lambda: asked[-1][:2] == (Verb.ACCEPT, [12]))
        await stage.press("g", "space", "space")
        await stage.shows("2 marked")
        await stage.press("x")
        await stage.shows("forget 2 things, told to 1 attempt?")
        await stage.press("y")
        await stage.until(lambda: asked[-1] == ("forget", [14, 13]))
        await stage.until(lambda: len(screen.table.rows) == 2 and not screen.table.marks)
        editor.append(lambda text: text + "Ask first.\n")
        stage.app.perform(_action("edit_core"), "global")
        await stage.until(lambda: core["global"].endswith("Ask first.\n"))
        stage.app.perform(_action("read_core"), "global")
        await stage.shows("Ask first.")


async def test_the_text_and_the_history_of_a_skill_are_read() -> None:
    engine = ledger.laden()
    async with console(engine) as stage:
        await settled(stage, "skills")
        await stage.press("r")
        await stage.shows("First a dry run.")
        await stage.press("escape", "h")
        await stage.shows("who was given run-migrations")
        await stage.shows("J4833.1")
        await stage.press("escape", "p")
        await stage.type("/src/billing")
        await stage.press("enter")
        await stage.until(lambda: engine.books.asked[-1] == ("skills", "/src/billing"))
        await stage.shows("with those of /src/billing")


async def test_routes_are_tried_and_races_picked() -> None:
    engine = ledger.laden()
    asked = engine.books.asked
    async with console(engine, 120, 40) as stage:
        await settled(stage, "routes")
        for typed, told in (("J4840", "no route -> claude:opus-5"), ("fix the docs", "docs -> claude:sonnet@work")):
            await stage.press("t")
            await stage.type(typed)
            await stage.press("enter")
            await stage.shows(f"{typed} -> {told}")
            await stage.press("escape")
        assert asked == [("route for", "fix the docs")]
        await stage.press("b")
        await stage.shows("RIGHT AT FIRST")
        await stage.press("escape", "w")
        await stage.shows("the cursor is on no race")
        await stage.press("G")
        await stage.shows("both pass all checks")
        await stage.press("enter")
        await stage.shows("Both are kept.")
        await stage.press("escape", "w")
        await stage.type("4806")
        await stage.press("enter")
        await stage.until(lambda: asked[-1] == ("pick", 3, 4806))


async def test_money_is_grouped_spanned_allowed_and_leads_to_its_jobs() -> None:
    engine = ledger.laden()
    asked = engine.books.asked
    async with console(engine) as stage:
        screen = await settled(stage, "spend")
        assert isinstance(screen, SpendScreen)
        await stage.press("]")
        await stage.until(lambda: ("spend", By.MODEL, "7d") in asked)
        await stage.shows("7 days")
        await stage.press("[", "b")
        await stage.shows("/src/core-engine")
        await stage.press("a")
        await stage.type("day $5")
        await stage.press("enter")
        await stage.shows("allow $5 more for day?")
        await stage.press("y")
        await stage.until(lambda: ("allow", "day", "$5") in asked)
        await stage.press("b")
        await stage.shows("J4812")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.press("escape")
        stage.app.perform(_action("group"), "model")
        await stage.shows("opus-5")
        await stage.press("enter")
        await stage.until(lambda: stage.app.place.name == "queue")


async def test_the_log_is_followed_at_its_end_only() -> None:
    engine = ledger.laden()
    async with console(engine) as stage:
        screen = await settled(stage, "events")
        assert isinstance(screen, EventsScreen)
        assert screen.table.at_end

        def happens(seq: int) -> None:
            engine.books.events.append(Event(seq=seq, at=NOW, body=log.Held(by="operator"), job=4832))
            engine.seq = seq - 1
            engine.emit(log.Held(by="operator"), 4832)

        happens(11)
        await stage.until(lambda: screen.table.row_id == 11)
        await stage.press("k")
        happens(12)
        await stage.until(lambda: len(screen.table.rows) == 5)
        assert screen.table.row_id == 10
        await stage.shows("2 events below, G follows")
        await stage.press("G", "o")
        await stage.until(lambda: {row.job for row in screen.table.rows} == {4832})
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))


async def test_health_says_how_to_mend_what_is_wrong() -> None:
    async with console(ledger.laden(), 120, 40) as stage:
        screen = await settled(stage, "health")
        await stage.shows("1 wrong")
        while getattr(screen.table.row, "name", "") != "codex@team":
            await stage.press("j")
        await stage.shows("to mend it codex login")
        await stage.press("r")
        await stage.shows("looking again")


def test_what_is_edited_comes_back_and_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real program in place of $EDITOR, and a screen that only lends its terminal."""
    from contextlib import nullcontext
    from types import SimpleNamespace

    monkeypatch.setenv("EDITOR", "sed -i s/old/new/")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    frame = SimpleNamespace(app=SimpleNamespace(suspend=nullcontext), say=lambda text, role=None: said.append(text))
    assert editing.edited(frame, "the old text", ".md") == "the new text"  # type: ignore[arg-type]
    monkeypatch.setenv("EDITOR", "false")
    assert editing.edited(frame, "the old text", ".md") is None  # type: ignore[arg-type]
    assert said == ["$EDITOR ended with 1; nothing was changed"]
    assert list(tmp_path.iterdir()) == []


def _action(id: str) -> Action:
    return BY_ID[id]
