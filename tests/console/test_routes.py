"""Routes on the screen: where a job went, and the card that asks where it goes on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console import cards as texts
from console import moves
from console.format import clock, moment
from console.screens.inbox import InboxScreen
from console.screens.job import JobScreen
from engine.decision import Answered, Card, CardKind, Choice, Reply
from engine.model.route import Expected, Rerouting, RouteCause, Standing, TrackRecord, WindowState
from tests.console import scenes
from tests.console.fake import MINUTE, NOW, FakeEngine
from tests.console.stage import console

MOVE = Rerouting(
    at=NOW, was="claude:opus@work", to="codex:gpt@main", by="route careful", cause=RouteCause.LIMIT,
    until=NOW + 61 * MINUTE,
)  # fmt: skip
CARD = Card(
    id=7, kind=CardKind.ROUTE, job=4833, attempt=1, agent="claude", tool="route", at=NOW - MINUTE,
    summary="claude:opus@work cannot be used (auth): where does it go on?", title="parser: keep comments",
    arguments='{"codex:gpt@main":"open; about $0.40","wait":"stay with claude:opus@work","stop":"the job fails"}',
    options=("codex:gpt@main", "gemini:pro"), due=NOW + 29 * MINUTE, default=Choice.WAIT,
)  # fmt: skip


def asked() -> FakeEngine:
    engine = scenes.busy()
    engine.cards = [CARD]
    engine.change(4833, waiting_on=7)
    return engine


@pytest.mark.parametrize(
    ("typed", "reply"),
    [
        ("2", Reply(choice=Choice.REROUTE, reason="2")),
        ("gemini:pro", Reply(choice=Choice.REROUTE, reason="gemini:pro")),
        ("wait", Reply(choice=Choice.WAIT)),
        ("stop", Reply(choice=Choice.STOP)),
    ],
)
async def test_enter_says_where_a_job_goes_on(typed: str, reply: Reply) -> None:
    engine = asked()
    async with console(engine) as stage:
        await stage.press("i")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen) and stage.app.screen.list.cards)
        await stage.shows("   2  gemini:pro")
        await stage.shows("codex:gpt@main: open; about $0.40")
        await stage.press("x")
        await stage.shows("that is a route: enter answers it")
        await stage.press("enter")
        await stage.shows("go on where? 1-2, a target, wait or stop:")
        await stage.type(typed)
        await stage.press("enter")
        await stage.until(lambda: engine.replies == [(7, reply)])


async def test_a_job_shows_where_it_went_and_why() -> None:
    engine = scenes.busy()
    engine.moves[4833] = [MOVE]
    engine.change(4833, route="careful")
    async with console(engine, 150, 40) as stage:
        await stage.press(":")
        await stage.type("job 4833")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        line = f"claude:opus@work -> codex:gpt@main (limit, resets {clock(NOW + 61 * MINUTE)})"
        await stage.shows(line)
        await stage.press(":")
        await stage.type("attempts")
        await stage.press("enter")
        await stage.shows("route  careful")
        assert stage.text.count(line) == 2


# The words


def test_a_move_is_told_in_one_line() -> None:
    days = NOW + 3 * 24 * 60 * MINUTE
    told = [
        moves.move_text(one)
        for one in (
            MOVE,
            replace(MOVE, until=days),
            replace(MOVE, until=None, cause=RouteCause.AUTH, by="ann", added=400_000),
            replace(MOVE, cause=None, until=None, by="operator"),
        )
    ]
    went = "claude:opus@work -> codex:gpt@main"
    assert told == [
        f"{went} (limit, resets {clock(NOW + 61 * MINUTE)})",
        f"{went} (limit, resets {moment(days)})",
        f"{went} (auth, chosen by ann, about $0.40~ more)",
        f"{went} (by operator)",
    ]


def test_a_target_is_told_in_a_row() -> None:
    one = Standing(
        target="codex:gpt@main", window=WindowState.CLOSED, used=1.0, closed="its window is closed",
        until=NOW + 5 * MINUTE, expected=Expected(410_000, 8), added=10_000, record=TrackRecord(7, 8),
    )  # fmt: skip
    assert moves.target_cells(one, NOW) == (
        "  codex:gpt@main", "closed", "100%", "-", "$0.41~", "+$0.01", "7/8", "its window is closed, 5m left",
    )  # fmt: skip
    bare = Standing(target="llm:a/b", here=True)
    assert moves.target_cells(bare, NOW) == ("* llm:a/b", "-", "-", "-", "-", "?", "-", "here")


def test_an_answer_says_where_the_job_goes() -> None:
    done = replace(CARD, choice=Choice.REROUTE, reason="gemini:pro", by="ann")
    assert texts.answered_line(Answered(card=done)) == "rerouted: J4833 to gemini:pro"
    waits = replace(CARD, choice=Choice.WAIT, by="ann")
    assert texts.answered_line(Answered(card=waits)) == "waits where it is: J4833"
