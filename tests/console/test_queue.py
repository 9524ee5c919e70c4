"""The queue screen on a stand-in engine: the cursor's job, marks, the frozen order, the filter and the verbs."""

from __future__ import annotations

from engine.events import Submitted
from engine.model import Cause, JobSpec, Reason, State, Verb
from tests.console import scenes
from tests.console.fake import FakeEngine, make_job
from tests.console.stage import Stage, console


def submitted() -> Submitted:
    return Submitted(spec=JobSpec(prompt="x"), title="x", agent="claude")


def small(count: int = 12) -> FakeEngine:
    return FakeEngine([make_job(id, title=f"work {id}") for id in range(1, count + 1)])


async def new_job(stage: Stage, id: int) -> None:
    stage.engine.put(make_job(id, title=f"work {id}", priority=0))
    stage.engine.emit(submitted(), id)


async def test_at_the_top_the_list_is_live() -> None:
    async with console(small()) as stage:
        await new_job(stage, 99)
        await stage.until(lambda: stage.queue.rows.cursor_id == 99)
        await stage.shows("work 99")
        assert stage.queue.rows.cursor == 0


async def test_away_from_the_top_the_order_waits_for_the_operator() -> None:
    async with console(small()) as stage:
        await stage.press("j", "j")
        assert stage.queue.rows.cursor_id == 10
        await new_job(stage, 98)
        await new_job(stage, 99)
        await stage.shows("+2 new  .")
        assert "work 99" not in stage.text
        assert stage.queue.rows.cursor_id == 10
        await stage.press(".")
        await stage.shows("work 99")
        assert stage.queue.rows.cursor_id == 10, "the cursor left its job"
        assert "+2 new" not in stage.text


async def test_back_at_the_top_what_waited_comes_by_itself() -> None:
    async with console(small()) as stage:
        await stage.press("j")
        await new_job(stage, 99)
        await stage.shows("+1 new")
        await stage.press("g")
        await stage.shows("work 99")


async def test_the_verb_meets_the_job_that_was_under_the_cursor() -> None:
    async with console(small()) as stage:
        await stage.press("j", "j", "x")
        await stage.shows("cancel J10?")
        stage.engine.change(10, priority=9)
        await new_job(stage, 99)
        await stage.press("y")
        await stage.shows("cancelled J10")
        assert stage.engine.by_id[10].state is State.CANCELLED
        assert [job for verb, jobs, dry in stage.engine.acts if not dry for job in jobs] == [10]


async def test_a_job_that_vanished_leaves_the_cursor_at_its_place() -> None:
    async with console(small()) as stage:
        await stage.press("j", "j")
        del stage.engine.by_id[10]
        stage.engine.emit(submitted(), 10)
        await stage.shows(" new  .")
        await stage.press(".")
        await stage.until(lambda: stage.queue.rows.cursor_id == 9)


async def test_cells_change_in_place_while_the_order_is_frozen() -> None:
    async with console(small()) as stage:
        await stage.press("j")
        stage.engine.change(8, title="renamed meanwhile")
        stage.engine.emit(submitted(), 8)
        await stage.shows("renamed meanwhile")


async def test_marks_take_the_verb_and_leave_the_row() -> None:
    async with console(small()) as stage:
        await stage.press("space", "space")
        await stage.shows("2 marked")
        await stage.press("p")
        await stage.shows("held 2 jobs")
        assert {id for id, job in stage.engine.by_id.items() if job.held_by} == {11, 12}
        assert "marked" not in stage.text


async def test_marks_freeze_the_order_and_stay_with_their_jobs() -> None:
    async with console(small()) as stage:
        await stage.press("space", "g")
        await new_job(stage, 99)
        await stage.shows("+1 new")
        await stage.press(".")
        await stage.shows("work 99")
        assert stage.queue.rows.marks.ids() == [12]


async def test_a_range_is_marked_from_here_to_here() -> None:
    async with console(small()) as stage:
        await stage.press("j", "v")
        await stage.shows("range from J11")
        await stage.press("j", "j", "v")
        await stage.shows("3 marked")
        assert stage.queue.rows.marks.ids() == [9, 10, 11]
        await stage.press("\\")
        assert "marked" not in stage.text


async def test_all_are_marked_and_cleared() -> None:
    async with console(small()) as stage:
        await stage.press("*")
        await stage.shows("12 marked")
        await stage.press("escape")
        await stage.until(lambda: "marked" not in stage.text)


async def test_hold_toggles() -> None:
    async with console(small()) as stage:
        await stage.press("p")
        await stage.shows("held J12")
        await stage.press("p")
        await stage.shows("released J12")
        assert not stage.engine.by_id[12].held_by


async def test_cancel_is_never_confirmed_by_enter_or_by_the_key_that_asked() -> None:
    async with console(small()) as stage:
        await stage.press("x")
        await stage.shows("cancel J12?")
        await stage.press("enter", "x", "j", "q", "space")
        await stage.shows("cancel J12?")
        assert stage.engine.by_id[12].state is State.READY
        await stage.press("n")
        await stage.shows("nothing was cancelled")
        await stage.press("j")
        assert stage.queue.rows.cursor_id == 11, "the keys did not go back to the list"
        assert all(dry for _, _, dry in stage.engine.acts)


async def test_escape_says_no() -> None:
    async with console(small()) as stage:
        await stage.press("x")
        await stage.shows("cancel J12?")
        await stage.press("escape")
        await stage.shows("nothing was cancelled")
        assert stage.engine.by_id[12].state is State.READY


async def test_cancelling_many_wants_their_number_typed() -> None:
    async with console(small(30)) as stage:
        await stage.press("*", "x")
        await stage.shows("type 30, then enter")
        await stage.press("y", "enter")
        await stage.shows("nothing was cancelled")
        await stage.press("x")
        await stage.shows("type 30, then enter")
        await stage.press("3", "0", "enter")
        await stage.shows("cancelled 30 jobs")
        assert {job.state for job in stage.engine.by_id.values()} == {State.CANCELLED}


async def test_a_verb_that_does_not_fit_says_why() -> None:
    async with console(FakeEngine([make_job(3, State.SUCCEEDED), make_job(4)])) as stage:
        await stage.press("r")
        await stage.shows("left J4: not ended yet")
        await stage.press("j", "x")
        await stage.shows("left J3: already ended")
        await stage.press("r")
        await stage.shows("retry J3, which succeeded?")
        await stage.press("y")
        await stage.shows("put back J3")


async def test_verbs_on_an_empty_list_say_so() -> None:
    async with console(scenes.empty()) as stage:
        await stage.shows("headway submit")
        for key in ("p", "r", "x", "y", "o", "enter", "space", "v", "*", "n", "G", "d"):
            await stage.press(key)
        assert stage.engine.acts == []
        assert "no job here" in stage.ask


async def test_the_filter_is_live_and_escape_brings_the_old_list_back() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("/")
        await stage.type("state:failed")
        await stage.until(lambda: len(stage.queue.source) == 2)
        await stage.press("escape")
        await stage.until(lambda: len(stage.queue.source) == 73)


async def test_a_filter_stays_as_a_chip_until_escape() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("/")
        await stage.type("state:failed")
        await stage.press("enter")
        await stage.shows("state:failed   2 of 73")
        await stage.press("escape")
        await stage.until(lambda: stage.queue.filter == "" and len(stage.queue.source) == 73)


async def test_a_wrong_filter_says_where_and_leaves_the_last_good_list() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("/")
        await stage.type("state:failed")
        await stage.until(lambda: len(stage.queue.source) == 2)
        await stage.type(" x:1")
        await stage.shows("there is no field 'x'")
        assert "filter: there" not in stage.ask
        assert len(stage.queue.source) == 2
        await stage.press("enter")
        await stage.shows("there is no field 'x'; did you mean 'state'?")
        assert stage.queue.filter == "state:failed"


async def test_a_filter_that_matches_nothing_says_how_to_leave_it() -> None:
    async with console(small()) as stage:
        await stage.press(":")
        await stage.type("filter zzz")
        await stage.press("enter")
        await stage.shows("No job matches zzz")


async def test_next_failed_goes_round() -> None:
    async with console(scenes.busy()) as stage:
        for wanted in (4812, 4809, 4812):
            await stage.press("n")
            await stage.until(lambda wanted=wanted: stage.queue.rows.cursor_id == wanted)


async def test_copy_takes_the_id_to_the_clipboard() -> None:
    async with console(small()) as stage:
        await stage.press("y")
        await stage.shows("copied J12")
        assert stage.app.clipboard == "J12"


async def test_edit_says_what_is_in_the_way(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    async with console(FakeEngine([make_job(3, State.SUCCEEDED), make_job(4)])) as stage:
        await stage.press("o")
        await stage.shows("J4 has no workspace yet")
        await stage.press("j", "o")
        await stage.shows("the workspace /srv/jobs/J3 is not there any more")


async def test_hold_all_holds_everything() -> None:
    async with console(small()) as stage:
        await stage.press(":")
        await stage.type("hold all")
        await stage.press("enter")
        await stage.shows("all held")
        assert stage.engine.held_all and stage.engine.acts[-1] == (Verb.HOLD, (), False)
        await stage.press(":")
        await stage.type("release all")
        await stage.press("enter")
        await stage.until(lambda: stage.engine.held_all is None and "all held" not in stage.text)


async def test_every_screen_says_its_keys_at_the_bottom() -> None:
    async with console(small(), 80, 24) as stage:
        assert "? keys  q detach" in stage.lines[-1]
        await stage.press("enter")
        await stage.shows("Queue › J12")
        assert "? keys  q detach" in stage.lines[-1]
        await stage.press("?")
        await stage.shows("on the job screen")
        assert "? keys  q detach" in stage.lines[-1]


async def test_a_screen_too_small_says_what_it_needs() -> None:
    async with console(small(), 50, 12) as stage:
        assert "needs 60x16, has 50x12; q detaches" in stage.text
        await stage.pilot.resize_terminal(80, 24)
        await stage.shows("work 12")


async def test_tab_stays_in_a_prompt_and_its_keys_do_not_reach_the_queue() -> None:
    async with console(FakeEngine([make_job(1), make_job(2)])) as stage:
        await stage.press("colon", "t", "h", "tab", "x", "shift+tab", "space")
        await stage.shows(":thx")
        await stage.press("escape")
        assert stage.engine.acts == []
        await stage.press("x")
        await stage.shows("cancel J")


async def test_plus_and_minus_change_the_priority_of_the_job_under_the_cursor() -> None:
    async with console(small()) as stage:
        await stage.press("j", "+")
        await stage.shows("gave another priority to J11")
        await stage.press("-")
        await stage.until(lambda: len(stage.engine.orders) == 2)
    assert [(order.verb, order.jobs, order.priority) for order in stage.engine.orders] == [
        (Verb.PRIORITY, [11], 4),
        (Verb.PRIORITY, [11], 6),
    ]


async def test_z_takes_back_what_was_done_last() -> None:
    async with console(small()) as stage:
        await stage.press("z")
        await stage.shows("there is nothing to undo")
        await stage.press("p", "z")
        await stage.shows("took back hold (action 1): J1 as before")


async def test_verbs_that_take_a_word_are_typed() -> None:
    async with console(small()) as stage:
        for text in ("snooze 2h", "reroute claude:opus", "move first"):
            await stage.press(":", *("space" if letter == " " else letter for letter in text), "enter")
            await stage.until(lambda: not stage.queue.ask.busy)
        await stage.until(lambda: len(stage.engine.orders) == 3)
    first, second, third = stage.engine.orders
    assert (first.verb, first.until) == (Verb.SNOOZE, "2h")
    assert (second.verb, second.to) == (Verb.REROUTE, "claude:opus")
    assert (third.verb, third.place) == (Verb.MOVE, "first")


async def test_capital_w_says_why_the_job_waits() -> None:
    engine = small()
    engine.waiting[12] = [Reason(Cause.CAP, "2 of 2 attempts run")]
    async with console(engine) as stage:
        await stage.press("W")
        await stage.shows("J12: 2 of 2 attempts run")
