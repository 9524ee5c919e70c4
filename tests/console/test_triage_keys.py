"""Triage by keys: views, orders, marks, targets, and what each verb says before and after it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.ahead import preview_line
from console.completing import offers
from console.source import Marks
from console.views import BUILT_IN, View, Views
from engine.errors import StorageError, UsageError
from engine.model import Cause, Preview, Quota, Reason, State, Verb
from tests.console import scenes
from tests.console.fake import MINUTE, NOW, FakeEngine, make_job
from tests.console.stage import console


@pytest.fixture(autouse=True)
def own_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "headway" / "views.yaml"


@pytest.mark.parametrize(
    ("preview", "said"),
    [
        (None, ""),
        (Preview(finish_before=NOW, finish_after=NOW + 120 * MINUTE), "all done in 2h00 (2h00 later)"),
        (Preview(finish_before=NOW + MINUTE, finish_after=NOW), "all is done (1m earlier)"),
        (Preview(cost_micros=-240_000, unpriced=2), "−$0.24~, 2 of no known price"),
        (
            Preview(
                finish_after=NOW + 300_000,
                finish_before=NOW + 300_000,
                cost_micros=1_500_000,
                quota=[
                    Quota(account="claude@work", jobs=12, window="five_hour", used=0.74),
                    Quota(account="codex", jobs=-1),
                ],
            ),
            "all done in 5m, +$1.50~, claude@work +12 (five_hour 74%), codex −1",
        ),
    ],
)
def test_a_change_is_told_in_one_line(preview: Preview | None, said: str) -> None:
    assert preview_line(preview, NOW) == said


KNOWN = {"model": ["opus-5", "sonnet-5"], "project": ["my api", "web"]}


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", []),
        ("fix ", []),
        ("st", ["state:", "st:"]),
        ("fix !mod", ["fix !model:"]),
        ("cos", ["cost>"]),
        ("cost>", ["cost>0.5", "cost>1", "cost>5"]),
        ("st:fa", ["st:failed"]),
        ("state:failed,su", ["state:failed,succeeded"]),
        ("model:", ["model:opus-5", "model:sonnet-5"]),
        ("model:!s", ["model:!sonnet-5"]),
        ("repo:m", ['repo:"my api"']),
        ("state:failed", []),
        ("class:time", ["class:timeout"]),
        ("bogus:x", []),
    ],
)
def test_a_filter_is_completed_word_by_word(text: str, offered: list[str]) -> None:
    assert offers(text, KNOWN) == offered


async def test_tab_completes_the_filter_and_goes_round_the_offers() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("/")
        await stage.type("mo")
        await stage.shows("tab model:")
        await stage.until(lambda: not len(stage.queue.source), "no title has that word")
        await stage.press("tab")
        await stage.until(lambda: stage.engine.orders_asked[-1] == "model:", "which the stand-in takes for a mistake")
        await stage.settle()
        await stage.shows("model:opus-5  model:sonnet-5")
        await stage.press("tab", "tab")
        first = stage.queue.ask.typed_text
        await stage.press("shift+tab")
        second = stage.queue.ask.typed_text
        assert first != second and first.startswith("model:") and second.startswith("model:")


async def test_a_key_that_was_typed_to_its_end_has_its_values_offered() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("/")
        await stage.type("model")
        await stage.shows("tab model:")
        await stage.type(":")
        await stage.shows("model:opus-5  model:sonnet-5")


async def test_a_list_is_sorted_from_a_menu_and_turned_around() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("s", "6")
        await stage.shows("by cost ▾")
        await stage.until(lambda: stage.queue.rows.cursor_id is not None)
        assert stage.engine.sorts_asked[-1] == "cost"
        await stage.press("S")
        await stage.shows("by cost ▴")
        assert stage.engine.sorts_asked[-1] == "-cost"
        await stage.press(":")
        await stage.type("sort cots")
        await stage.press("enter")
        await stage.shows("no column 'cots'; did you mean cost?")
        await stage.press("escape")
        await stage.until(lambda: stage.engine.sorts_asked[-1] == "")
        await stage.press("S")
        await stage.shows("the queue has one order")


async def test_a_view_is_saved_shown_and_dropped(own_views: Path) -> None:
    async with console(scenes.busy(), 200, 60) as stage:
        for text in ("filter state:failed", "sort cost", "save view dear"):
            await stage.press(":")
            await stage.type(text)
            await stage.press("enter")
            await stage.until(lambda: not stage.queue.ask.busy)
        await stage.shows("saved the view dear")
        await stage.shows("▸dear")
        assert Views(own_views).get("dear") == View("state:failed", "cost")
        await stage.press("V", "g", "enter")
        await stage.until(lambda: len(stage.queue.source) == 73)
        for text, said in (
            ("view dear", "2 of 73"), ("view deer", "did you mean 'dear'?"), ("drop view dear", "dropped the view"),
            ("drop view failed", "'failed' is built in"), ("save view 7", "is no name for a view"),
        ):  # fmt: skip
            await stage.press(":")
            await stage.type(text)
            await stage.press("enter")
            await stage.shows(said)
        assert "dear" not in Views(own_views).own


def test_a_file_of_views_that_is_wrong_is_said_and_not_written_over(own_views: Path) -> None:
    own_views.parent.mkdir()
    own_views.write_text("mine: {fliter: x}\n")
    views = Views(own_views)
    assert "fliter" in views.problem and views.names == list(BUILT_IN)
    with pytest.raises(StorageError, match="mend it first"):
        views.save("other", View())
    assert own_views.read_text() == "mine: {fliter: x}\n"
    with pytest.raises(UsageError, match="did you mean 'failed'"):
        views.get("faild")


async def test_marks_are_turned_around() -> None:
    async with console(FakeEngine([make_job(id) for id in range(1, 6)])) as stage:
        await stage.press("space", "space", "I")
        await stage.shows("3 marked")
        assert sorted(stage.queue.rows.marks.ids()) == [1, 2, 3]
        await stage.press("I")
        assert sorted(stage.queue.rows.marks.ids()) == [4, 5]
        await stage.press("*", "I")
        assert len(stage.queue.rows.marks) == 0


def test_turning_marks_around_keeps_to_the_list() -> None:
    from array import array

    marks = Marks()
    marks.add([1, 2, 99])
    marks.invert(array("q", [1, 2, 3]))
    assert (marks.ids(), len(marks)) == ([3], 1)


async def test_marked_jobs_are_rerouted_to_a_target_whose_effect_was_seen() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("n", "space", "space", "R")
        await stage.shows("2 jobs to")
        await stage.until(lambda: stage.engine.previews and stage.engine.previews[-1].to == "codex:gpt-6")
        await stage.shows("all done in 2h00 (1h20 earlier), −$0.24~, claude −2 (five_hour 100%)")
        assert stage.engine.orders == [], "nothing was done while it was looked at"
        await stage.press("j")
        await stage.until(lambda: stage.engine.previews[-1].to == "opencode:local/qwen3")
        await stage.press("k", "enter")
        await stage.shows("rerouted 2 jobs: all done in 2h00")
        (order,) = stage.engine.orders
        assert (order.verb, sorted(order.jobs), order.to) == (Verb.REROUTE, [4809, 4812], "codex:gpt-6")
        assert "z undo 10s" in stage.ask
        await stage.later(4_000)
        await stage.until(lambda: "z undo  6s" in stage.ask)
        assert "marked" not in stage.text
        await stage.press("R", "escape", "x")
        await stage.shows("left J4806: already ended")


async def test_a_snooze_is_chosen_from_a_few_times() -> None:
    async with console(FakeEngine([make_job(1)])) as stage:
        await stage.press("Z", "3")
        await stage.until(lambda: stage.engine.orders)
        assert (stage.engine.orders[0].verb, stage.engine.orders[0].until) == (Verb.SNOOZE, "4h")


async def test_one_job_that_a_choice_leaves_alone_is_told_in_the_singular() -> None:
    async with console(FakeEngine([make_job(1, state=State.SUCCEEDED)])) as stage:
        await stage.press("Z", "down")
        await stage.shows("1 stays as it is")


async def test_a_question_says_what_a_cancel_changes_and_a_hold_says_it_after() -> None:
    engine = FakeEngine([make_job(1), make_job(2)])
    engine.preview = scenes.PREVIEW
    async with console(engine, 120, 40) as stage:
        await stage.press("x")
        await stage.shows("cancel J2? all done in 2h00 (1h20 earlier), −$0.24~")
        await stage.press("n", "p")
        await stage.shows("held J2: all done in 2h00 (1h20 earlier)")
        assert "z undo" in stage.ask


async def test_a_row_says_why_it_waits_also_where_no_event_named_it() -> None:
    engine = FakeEngine([make_job(1), make_job(2, State.RUNNING)])
    async with console(engine, 120, 40) as stage:
        await stage.shows("ready")
        engine.keeps[1] = Reason(Cause.LIMIT, "claude: five_hour is used up", until=NOW + 90 * MINUTE)
        engine.change(2, state=State.FAILED, ended_at=NOW)
        from engine.events import Cancelled

        engine.emit(Cancelled(by="x"), 2)
        await stage.shows("limited 1h30")
        await stage.press("g")
        await stage.until(lambda: "claude: five_hour is used up, 1h30 left" in stage.text)


async def test_the_preview_follows_the_cursor_and_moves_where_there_is_room() -> None:
    engine = scenes.busy()
    engine.prompts[4840] = "Index the archive.\nOne day after the other."
    async with console(engine, 120, 40) as stage:
        await stage.shows("The comments survive now")
        for _ in range(4):
            await stage.press("j")
        await stage.shows("One day after the other.")
        await stage.press("w")
        await stage.until(lambda: "One day after the other." not in stage.text)
        await stage.press("w", "tab")
        assert stage.app.focused is stage.queue.preview
        await stage.press("escape")
        assert stage.app.focused is stage.queue.rows
        await stage.pilot.resize_terminal(80, 24)
        await stage.press("w")
        await stage.shows("the preview needs more room")
