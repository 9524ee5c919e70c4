"""The screen of one job, the help, the palette and the command line."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.command import CommandPalette

from console.actions import ACTIONS, BY_ID, Scope
from console.screens.help import HelpScreen
from console.screens.job import JobScreen
from console.screens.places import PLACES
from engine.agents import events as say
from engine.events import Held, Succeeded
from engine.model import JobGate, State, Verdict
from engine.sessions import Compaction, Session, SessionState
from tests.console import journeys, scenes
from tests.console.fake import NOW
from tests.console.stage import Stage, console


async def test_enter_opens_a_job_and_escape_returns_to_the_very_row() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("j", "j", "j", "j", "j", "enter")
        await stage.shows("Queue › J4839")
        await stage.shows("held by operator")
        await stage.press("escape")
        await stage.shows("73 jobs")
        assert stage.queue.rows.cursor_id == 4839
        assert stage.app.focused is stage.queue.rows


async def test_a_job_follows_its_log_and_notices_its_end() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("enter")
        await stage.shows("The comments survive now")
        await stage.engine.speak(4833, say.Text("one more thing"))
        await stage.shows("one more thing")
        stage.engine.change(4833, state=State.SUCCEEDED, ended_at=NOW)
        stage.engine.emit(Succeeded(), 4833)
        await stage.later()
        await stage.shows("✓ done")


async def test_it_shows_how_full_the_conversation_is_and_how_often_it_was_compacted() -> None:
    engine = scenes.busy()
    shrunk = Compaction(at=NOW, attempt=1, trigger="auto", before_tokens=160_000, after_tokens=9_000)
    engine.sessions[4833] = [
        Session(
            id="5d1c", agent="claude", workspace="/w", state=SessionState.ACTIVE, created_at=NOW, used_at=NOW,
            context_tokens=50_000, context_window=200_000, compactions=[shrunk],
        )
    ]  # fmt: skip
    async with console(engine, 140, 30) as stage:
        await stage.press("enter")
        await stage.shows("context 50k of 200k, 25%, compacted 1 time")
        engine.progress(4833, "reading", context_tokens=80_000, context_window=200_000)
        await stage.later()
        await stage.shows("context 80k of 200k, 40%")
        await stage.press(":")
        await stage.type("attempts")
        await stage.press("enter")
        await stage.shows("compacted 1 time: 160k to 9.0k (auto)")


async def test_tabs_go_round_and_have_keys_of_their_own() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("enter")
        await stage.shows("[Log]")
        for tab in ("Prompt", "Diff", "Gate", "Attempts", "Events", "Cost", "Timeline", "Log"):
            await stage.press("]")
            await stage.shows(f"[{tab}]")
        await stage.press("]")
        await stage.shows("Do what job 4833 says.")
        await stage.shows("what attempt 1 was told, 120 of 2,000 tokens beside the task")
        await stage.press("d")
        await stage.shows("+def test_comments_survive():")
        await stage.press("l")
        await stage.shows("The comments survive now")


async def test_the_gate_tab_follows_a_look_without_moving_who_reads_it() -> None:
    engine = journeys.gated()
    async with console(engine, 100, 24) as stage:
        await stage.press("c")
        await stage.shows("now        check 2 of 3 runs: make lint")
        await stage.press("j", "j", "j")
        await stage.until(lambda: stage.job.text.top == 3)
        engine.waiting[4833] = journeys.runs(3)  # no event says so
        await stage.later()
        await stage.until(lambda: "check 3 of 3 runs: make docs" in "\n".join(stage.job.text.whole_text()))
        assert stage.job.text.top == 3
        looks = journeys.looks()[:2]
        done = replace(looks[0], id=3, round=3, verdict=Verdict.PASSED, findings=[], by="reviewers")
        engine.books.gates[4833] = JobGate(plan=journeys.PLAN, looks=[*looks, done])
        engine.change(4833, state=State.SUCCEEDED, ended_at=NOW)
        engine.emit(Succeeded(), 4833)
        await stage.later()
        await stage.until(lambda: "✓ passed in round 3, by reviewers" in "\n".join(stage.job.text.whole_text()))
        text = stage.job.text.whole_text()
        assert not any("check 3 of 3 runs" in line for line in text)


async def test_a_gate_without_a_look_says_what_it_will_do() -> None:
    engine = scenes.busy()
    engine.books.gates[4833] = JobGate(plan=journeys.PLAN)
    async with console(engine, 120, 30) as stage:
        await stage.press(":")
        await stage.type("gate")
        await stage.press("enter")
        await stage.shows("check 1    make test   (at most 600 s)")
        await stage.shows("reviewers  codex:gpt-6@team   1 have to approve")
        await stage.shows("It has not looked yet")


async def test_the_timeline_unfolds_a_step_in_place_and_follows_at_its_end() -> None:
    engine = scenes.busy()
    async with console(engine) as stage:
        await stage.press("t")
        await stage.shows("▸ » Read src/parser/tokens.py")
        assert "import re" not in stage.text
        await stage.press("g", "j", "j", "enter")
        await stage.shows("▾ » Read src/parser/tokens.py")
        await stage.shows("     import re")
        await stage.press("enter")
        await stage.until(lambda: "import re" not in stage.text)
        await engine.speak(4833, say.ToolCall(id="9", name="Bash", summary="make test", context_tokens=44_000))
        await stage.shows("» Bash make test")
        assert not stage.job.steps.following
        await stage.press("G")
        await engine.speak(4833, say.ToolResult(id="9", ok=False, output="2 failed\nsee the log"))
        await engine.speak(4833, say.Text("I look again."))
        await stage.shows("✗ » Bash make test")
        await stage.shows("I look again.")
        assert stage.job.steps.following


async def test_a_wide_terminal_has_the_timeline_beside_the_open_tab() -> None:
    async with console(scenes.busy(), 200, 60) as stage:
        await stage.press("d")
        await stage.shows("+def test_comments_survive():")
        await stage.shows("▸ » Read src/parser/tokens.py")
        await stage.press("tab", "g", "j", "j", "enter")
        await stage.shows("▾ » Read src/parser/tokens.py")
        assert "+def test_comments_survive():" in stage.text


async def test_n_goes_from_hunk_to_hunk_and_a_search_through_the_log() -> None:
    engine = scenes.busy()
    engine.diffs[4833] += "".join(f"@@ -{n} +{n} @@ part {n}\n" + "+x\n" * 30 for n in range(3))
    async with console(engine) as stage:
        await stage.press("d")
        await stage.shows("src/parser/tokens.py")
        await stage.press("n")
        await stage.shows("hunk 1 of 5")
        await stage.press("n", "n")
        await stage.shows("hunk 3 of 5")
        await stage.press("N")
        await stage.shows("hunk 2 of 5")
        await stage.press("l")
        await stage.shows("The comments survive now")
        await stage.press("/")
        await stage.type("comments")
        await stage.press("enter")
        await stage.shows("2 lines with 'comments'")
        await stage.press("escape")
        assert stage.job.text.searched == ""


async def test_what_happened_to_a_job_and_what_it_cost_have_tabs() -> None:
    engine = scenes.busy()
    async with console(engine) as stage:
        engine.emit(Held(by="operator"), 4833)
        await stage.press("e")
        await stage.shows("by=operator")
        await stage.press("]")
        await stage.shows("in all   $1.2040   41,200 tokens in, 2,800 out")


async def test_a_diff_opens_at_its_beginning_and_follows_nothing() -> None:
    engine = scenes.busy()
    engine.diffs[4833] += "".join(f"+line {n}\n" for n in range(200))
    async with console(engine) as stage:
        await stage.press("d")
        await stage.shows("src/parser/tokens.py")
        await stage.press("G")
        await stage.shows("+line 199")
        assert not stage.job.text.following
        await stage.press("g")
        await stage.shows("src/parser/tokens.py")


async def test_a_job_opens_at_the_tab_that_was_asked_for() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("d")
        await stage.shows("src/parser/tokens.py")
        assert stage.job.tab == "Diff"


async def test_why_a_job_waits_and_why_it_failed_stand_in_its_head() -> None:
    async with console(scenes.busy()) as stage:
        for number, text in (
            (4838, "waits: claude: the five_hour limit resets"),
            (4812, "crashed   exit 139: signal 11"),
        ):
            await stage.press(":")
            await stage.type(f"job {number}")
            await stage.press("enter")
            await stage.shows(f"Queue › J{number}")
            await stage.shows(text)
            await stage.press("escape")


async def test_the_verbs_work_on_the_screen_of_a_job() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("enter", "x")
        await stage.shows("cancel J4833?")
        await stage.press("y")
        await stage.shows("stopping J4833")
        await stage.later()
        await stage.shows("▸ stopping")


async def test_a_command_that_cannot_be_is_one_line() -> None:
    wrong = {
        "job 999": "there is no job 999",
        "job": "which job?",
        "job x": "'x' is not a job's number",
        "theme dawn": "there is no theme 'dawn'",
        "xyzzy": "there is no command :xyzzy",
        "quit now": "takes nothing after it",
        "mark": "",
    }
    async with console(scenes.busy()) as stage:
        for text, said in wrong.items():
            await stage.press(":")
            await stage.type(text)
            await stage.press("enter")
            await stage.shows(said)
            assert stage.app.screen is stage.queue
        await stage.shows("1 marked")


async def test_a_theme_is_worn_at_once() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press(":")
        await stage.type("theme day")
        await stage.press("enter")
        await stage.until(lambda: stage.app.theme == "day")
        await stage.pilot.pause()
        colours = {
            segment.style.bgcolor.name
            for strip in stage.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.bgcolor
        }
        assert "#fbfbf9" in colours and "#11151a" not in colours


async def test_shutdown_wants_its_name_typed() -> None:
    async with console(scenes.busy()) as stage:
        for typed, stopped in (("yes", []), ("shutdown", [True])):
            await stage.press(":")
            await stage.type("shutdown")
            await stage.press("enter")
            await stage.shows("type shutdown, then enter")
            await stage.type(typed)
            await stage.press("enter")
            await stage.shows("drains" if stopped else "the engine goes on")
            assert stage.engine.stopped == stopped


async def test_q_detaches_and_ctrl_c_only_says_so() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("ctrl+c")
        await stage.shows("press q to detach")
        assert not stage.app._exit
        await stage.press("q")
        assert stage.app._exit
        assert stage.engine.acts == [] and stage.engine.stopped == []


async def open_help(stage: Stage) -> HelpScreen:
    await stage.press("?")
    await stage.until(lambda: isinstance(stage.app.screen, HelpScreen))
    screen = stage.app.screen
    assert isinstance(screen, HelpScreen)
    return screen


async def test_the_help_has_every_action_of_the_console() -> None:
    """On every screen, in every pane of it, `?` says each key that works there: none of the table is left out."""
    seen: set[str] = set()
    async with console(scenes.busy(), 120, 160) as stage:

        async def look() -> None:
            screen = await open_help(stage)
            seen.update(action.id for action in screen.list.actions)

            def all_stand() -> bool:
                text = stage.text
                return all(action.title in text for action in screen.list.actions)

            await stage.until(all_stand)
            await stage.press("escape")
            await stage.until(lambda: not isinstance(stage.app.screen, HelpScreen))

        await stage.press("tab")
        await look()
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await look()
        await stage.press("t")
        await look()
        await stage.press("escape", "escape")
        for place in PLACES:
            await stage.press(BY_ID[f"go_{place.name}"].keys[0])
            await stage.until(lambda place=place: stage.app.place is place)
            assert isinstance(stage.app.frame, place.screen)
            await look()
        await stage.press("3", "w")
        await look()
    aside = {action.id for action in ACTIONS if action.scope in (Scope.ASK, Scope.HELP, Scope.CHOOSE)}
    assert seen == {action.id for action in ACTIONS} - aside


async def test_an_action_can_be_done_from_the_help() -> None:
    async with console(scenes.busy()) as stage:
        screen = await open_help(stage)
        while screen.list.action.id != "mark_all":
            await stage.press("j")
        await stage.press("enter")
        await stage.shows("73 marked")


async def test_the_palette_offers_actions_themes_and_jobs() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("ctrl+p")
        await stage.until(lambda: isinstance(stage.app.screen, CommandPalette))
        await stage.type("4812")
        await stage.shows("job J4812")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.shows("Queue › J4812")
        await stage.press("ctrl+p")
        await stage.until(lambda: isinstance(stage.app.screen, CommandPalette))
        await stage.type("theme paper")
        await stage.shows(":theme paper")
        await stage.press("enter")
        await stage.until(lambda: stage.app.theme == "paper")


async def test_settings_move_keys_and_choose_the_theme() -> None:
    engine = scenes.busy()
    engine.keys, engine.theme = {"cancel": "D"}, "contrast"
    async with console(engine) as stage:
        await stage.until(lambda: stage.app.theme == "contrast")
        await stage.press("x")
        assert "cancel J4833?" not in stage.text
        await stage.press("D")
        await stage.shows("cancel J4833?")
        await stage.press("n")
        await stage.shows("D cancel")


@pytest.mark.parametrize(
    ("keys", "theme", "said"),
    [
        ({"cancle": "D"}, None, "did you mean 'cancel'?"),
        ({"cancel": "r"}, None, "would do both"),
        ({}, "dawn", "no theme 'dawn'"),
    ],
)
async def test_wrong_settings_are_said_and_the_defaults_stay(
    keys: dict[str, str], theme: str | None, said: str
) -> None:
    engine = scenes.busy()
    engine.keys, engine.theme = keys, theme
    async with console(engine) as stage:
        await stage.shows(said)
        assert stage.app.theme == "night"
        await stage.press("x")
        await stage.shows("cancel J4833?")
