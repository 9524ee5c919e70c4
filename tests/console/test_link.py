"""The line to the engine: lost and found again, and how often the screen may change."""

from __future__ import annotations

import pytest

from console.beat import Beat, Link, choose_link
from engine.agents import events as say
from engine.errors import UsageError
from engine.events import Failed, Launched, Submitted
from engine.model import Failure, JobSpec, State, Status
from tests.console import scenes
from tests.console.fake import MINUTE, NOW, make_job
from tests.console.stage import console


async def test_without_an_engine_the_screen_says_so_and_finds_it_by_itself() -> None:
    async with console(scenes.away()) as stage:
        await stage.shows("no engine serves /home/you")
        assert "offline 0s, retrying" in stage.lines[0]
        stage.engine.put(make_job(7, title="came later"))
        stage.engine.come_back()
        await stage.shows("came later")
        assert "offline" not in stage.text


async def test_when_the_engine_goes_the_screen_stays_and_verbs_refuse() -> None:
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        stage.engine.go_away()
        await stage.shows("offline 0s, retrying")
        assert "parser: keep comments" in stage.text
        await stage.later(14_000)
        await stage.shows("offline 14s, retrying")
        for key in ("x", "r"):
            await stage.press(key)
            await stage.shows("the engine does not answer (offline 14s, retrying)")
        assert stage.engine.acts == []


async def test_when_it_comes_back_what_was_missed_is_read() -> None:
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        stage.engine.go_away()
        await stage.shows("offline")
        stage.engine.put(make_job(4999, title="submitted in between", priority=0))
        stage.engine.emit(Submitted(spec=JobSpec(prompt="x"), title="x", agent="claude"), 4999)
        stage.engine.change(4832, state=State.FAILED, ended_at=NOW)
        stage.engine.emit(Failed(failure=Failure.CRASHED, reason="x"), 4832)
        stage.engine.come_back()
        await stage.shows("submitted in between")
        await stage.shows("✗ 5 J4832")
        await stage.until(lambda: stage.engine.followers == 1)


async def test_after_a_cut_in_which_nothing_happened_no_list_is_read_again() -> None:
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        stage.engine.emit(Submitted(spec=JobSpec(prompt="x"), title="x", agent="claude"), 4840)
        await stage.until(lambda: len(stage.engine.orders_asked) > 1)
        before = len(stage.engine.orders_asked)
        stage.engine.go_away()
        await stage.shows("offline")
        stage.engine.come_back()
        await stage.until(lambda: stage.engine.followers == 1 and "offline" not in stage.text)
        await stage.settle()
        assert len(stage.engine.orders_asked) == before
        assert stage.engine.followed[-1] == stage.engine.seq, "it goes on behind the last event that it saw"


async def test_when_too_much_was_missed_everything_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.feed._CAUGHT_UP_MOST", 3)
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        stage.engine.go_away()
        await stage.shows("offline")
        stage.engine.put(make_job(4999, title="nobody told of this one", priority=0))
        for _ in range(4):
            stage.engine.emit(Launched(pid=7, workspace="/w"), 4830)
        stage.engine.come_back()
        await stage.shows("nobody told of this one")


async def test_resync_reads_everything_again() -> None:
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        stage.engine.put(make_job(4999, title="nobody told of this one", priority=0))
        await stage.press("ctrl+r")
        await stage.shows("nobody told of this one")
        await stage.until(lambda: stage.engine.followers == 1)


async def test_nothing_is_lost_between_the_first_look_and_the_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = scenes.empty()
    look = engine.status

    async def look_then_submit() -> Status:
        status = await look()
        if not engine.by_id:
            engine.put(make_job(7, title="came in between"))
            engine.emit(Submitted(spec=JobSpec(prompt="x"), title="x", agent="claude"), 7)
        return status

    monkeypatch.setattr(engine, "status", look_then_submit)
    async with console(engine) as stage:
        monkeypatch.setattr(stage.queue, "reload", lambda: None)
        await stage.until(lambda: any(job == 7 for job in stage.queue.source.order))


async def test_one_subscription_serves_the_whole_console() -> None:
    async with console(scenes.busy()) as stage:
        await stage.press("enter", "escape", "?", "escape")
        assert stage.engine.followers == 1


async def test_a_burst_of_events_is_a_handful_of_reads(real_pace: None) -> None:
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        before = len(stage.engine.orders_asked), len(stage.engine.rows_asked)
        for _ in range(2_000):
            stage.engine.emit(Submitted(spec=JobSpec(prompt="x"), title="x", agent="claude"), 4840)
        stage.engine.change(4840, title="after the burst")
        await stage.shows("after the burst")
        assert len(stage.engine.orders_asked) - before[0] <= 3
        assert len(stage.engine.rows_asked) - before[1] <= 8


async def test_nothing_is_drawn_when_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(scenes.busy(), 120, 40) as stage:
        await stage.press("3")
        await stage.shows("bench  39")
        await stage.shows("The comments survive")
        drawn: list[object] = []
        real = stage.app._display
        monkeypatch.setattr(stage.app, "_display", lambda screen, what: (drawn.append(what), real(screen, what)))
        for _ in range(10):  # what came with the screen may still be on its way, and a countdown may move on
            drawn.clear()
            for _ in range(12):
                await stage.later(250)
                await stage.app._beat()
                await stage.pilot.pause()
            if not [what for what in drawn if what is not None]:
                break
        else:
            raise AssertionError(f"it never came to rest: {drawn}")
        drawn.clear()
        await stage.engine.speak(4829, say.Output("something new"))
        await stage.until(lambda: drawn, "what is new is drawn")  # after it stands where the screen is put together
        await stage.shows("something new")


async def test_ages_move_on_with_the_clock() -> None:
    async with console(scenes.busy()) as stage:
        await stage.shows("12m")
        await stage.later(5 * MINUTE)
        await stage.until(lambda: " 17m " in stage.text and " 12m " not in stage.text)


@pytest.mark.parametrize(
    ("name", "ssh", "link"),
    [("auto", False, Link.LOCAL), ("auto", True, Link.SSH), ("local", True, Link.LOCAL), ("thin", False, Link.THIN)],
)
def test_the_link_is_guessed_or_given(name: str, ssh: bool, link: Link) -> None:
    assert choose_link(name, ssh) is link


def test_a_wrong_link_names_the_right_ones() -> None:
    with pytest.raises(UsageError, match="auto, local, ssh, thin"):
        choose_link("lan", False)


@pytest.mark.parametrize(("link", "fast", "steady"), [(Link.LOCAL, 4, 4), (Link.SSH, 2, 1), (Link.THIN, 1, 1)])
def test_the_beat_is_as_slow_as_the_line(link: Link, fast: int, steady: int) -> None:
    beat = Beat(link)
    beats = [beat.pulse(NOW + int(n * beat.interval * 1000)) for n in range(fast * 10)]
    assert len(beats) * beat.interval == 10
    assert sum(pulse.steady for pulse in beats) == steady * 10
    assert sum(pulse.second for pulse in beats) == 10


async def test_over_ssh_the_panes_speak_too() -> None:
    async with console(scenes.busy(), link=Link.SSH) as stage:
        await stage.press("3")
        await stage.shows("The comments survive")
