"""The inbox: what waits, answered by keys, and what the rest of the console says of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console import cards as texts
from console.screens import inbox
from console.screens.inbox import InboxScreen
from console.screens.job import JobScreen
from engine import events as log
from engine.decision import CHOICES, Answered, CardKind, Choice, Effect, Reply, Rule
from engine.notice import NoticeClass
from tests.console import scenes
from tests.console.fake import MINUTE, NOW
from tests.console.stage import Stage, console


async def opened(stage: Stage) -> InboxScreen:
    await stage.press("i")
    await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
    screen = stage.app.screen
    assert isinstance(screen, InboxScreen)
    await stage.until(lambda: screen.list.cards or "Nothing waits" in stage.text)
    return screen


@pytest.mark.parametrize(
    ("down", "keys", "typed", "reply"),
    [
        (0, "a", None, Reply(choice=Choice.ALLOW)),
        (0, "A", "", Reply(choice=Choice.RULE)),
        (0, "A", " --tags", Reply(choice=Choice.RULE, pattern="git push origin v0.3.0 --tags")),
        (0, "x", "not today", Reply(choice=Choice.DENY, reason="not today")),
        (0, "x", "", Reply(choice=Choice.DENY)),
        (1, "X", "", Reply(choice=Choice.DENY, pattern="src/parser.py")),
        (2, "enter", "both", Reply(choice=Choice.ANSWER, reason="both")),
        (2, "enter", "2", Reply(choice=Choice.ANSWER, reason="legacy/")),
        (2, "x", "", Reply(choice=Choice.DENY)),
    ],
)
async def test_a_key_answers_the_card_under_the_cursor(down: int, keys: str, typed: str | None, reply: Reply) -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        screen = await opened(stage)
        await stage.press(*("j" * down), keys)
        if typed is not None:
            await stage.type(typed)
            await stage.press("enter")
        await stage.until(lambda: engine.replies == [(7 + down, reply)])
        await stage.until(lambda: len(screen.list.cards) == 2)


@pytest.mark.parametrize(
    ("keys", "typed", "reply"),
    [
        ("a", None, Reply(choice=Choice.RUN)),
        ("x", None, Reply(choice=Choice.CANCEL)),
        ("enter", "the login in auth.py", Reply(choice=Choice.EDIT, reason="the login in auth.py")),
    ],
)
async def test_the_same_keys_decide_on_a_job_that_says_too_little(keys: str, typed: str | None, reply: Reply) -> None:
    engine = scenes.asking()
    engine.cards = [replace(engine.cards[0], kind=CardKind.CLARIFY, tool="triage", default=Choice.RUN, due=None)]
    async with console(engine) as stage:
        await opened(stage)
        await stage.press("A")
        await stage.shows("a runs it, enter says more, x cancels it")
        await stage.press(keys)
        if typed is not None:
            await stage.type(typed)
            await stage.press("enter")
        await stage.until(lambda: engine.replies == [(7, reply)])


@pytest.mark.parametrize(
    ("kind", "typed", "reply"),
    [
        (CardKind.APPROVAL, "approve", Reply(choice=Choice.APPROVE)),
        (CardKind.APPROVAL, "back leave b.txt alone", Reply(choice=Choice.BACK, reason="leave b.txt alone")),
        (CardKind.MERGE, "retry", Reply(choice=Choice.RETRY)),
        (CardKind.STEP, "stop it is hopeless", Reply(choice=Choice.STOP, reason="it is hopeless")),
    ],
)
async def test_what_pipelines_ask_is_answered_by_its_word(kind: CardKind, typed: str, reply: Reply) -> None:
    engine = scenes.asking()
    engine.cards = [replace(engine.cards[0], kind=kind)]
    async with console(engine) as stage:
        await opened(stage)
        await stage.press("x")
        await stage.until(lambda: "enter answers it" in stage.text)
        await stage.press("enter")
        await stage.type("allow")
        await stage.press("enter")
        await stage.until(lambda: f"choose {CHOICES[kind][0]}" in stage.text)
        await stage.press("enter")
        await stage.type(typed)
        await stage.press("enter")
        await stage.until(lambda: engine.replies == [(7, reply)])


async def test_to_allow_all_of_a_tool_asks_first() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        await opened(stage)
        await stage.press("c")
        await stage.shows("allow every further Bash of J4833?")
        await stage.press("n")
        await stage.shows("nothing was answered")
        assert engine.replies == []
        await stage.press("c", "y")
        await stage.until(lambda: engine.replies == [(7, Reply(choice=Choice.JOB))])


async def test_a_key_that_makes_no_sense_says_what_does() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        await opened(stage)
        await stage.press("j", "j", "a")
        await stage.shows("that is a question: enter answers it")
        await stage.press("enter", "enter")
        await stage.shows("an answer needs words")
        assert engine.replies == []


async def test_no_key_meets_a_card_that_was_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "_GRACE", 600.0)
    engine = scenes.asking()
    async with console(engine) as stage:
        screen = await opened(stage)
        assert screen.list.card is not None
        engine.close_card(7)
        await stage.later(2_000)
        await stage.until(lambda: [card.id for card in screen.list.cards] == [8, 9])
        await stage.press("a")
        await stage.shows("the list has just moved")
        assert engine.replies == []
        await stage.press("j", "k")
        assert screen.list.card is not None
        assert screen.list.card.id == 8


async def test_the_cursor_stays_with_its_card() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        screen = await opened(stage)
        await stage.press("j")
        engine.close_card(7)
        await stage.later(2_000)
        await stage.until(lambda: len(screen.list.cards) == 2)
        assert screen.list.card is not None
        assert screen.list.card.id == 8
        await stage.press("a")
        await stage.until(lambda: engine.replies == [(8, Reply(choice=Choice.ALLOW))])


async def test_a_card_that_somebody_else_answered_is_said_to_be_closed() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        await opened(stage)
        engine.cards.pop(0)
        await stage.press("a")
        await stage.shows("card 7 is closed: deny by time-out")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_everything_to_decide_by_is_on_one_screen(size: tuple[int, int]) -> None:
    async with console(scenes.asking(), *size) as stage:
        await opened(stage)
        for words in ("3 cards for you", "oldest 31m", "why   The tag is made.", "git push origin v0.3.0", "a allow"):
            await stage.shows(words)
        await stage.shows("by default: deny at")
        await stage.press("j")
        await stage.shows("+    return raw if self.keep else self._strip(raw)")
        await stage.shows("nothing happens until somebody answers")
        await stage.press("j")
        await stage.shows("   2  legacy/")


async def test_the_countdown_goes_on() -> None:
    async with console(scenes.asking()) as stage:
        await opened(stage)
        await stage.shows("deny in 29m")
        await stage.later(2 * MINUTE)
        await stage.shows("deny in 27m")


async def test_an_empty_inbox_says_how_cards_come_and_esc_leaves_it() -> None:
    async with console(scenes.busy()) as stage:
        await opened(stage)
        await stage.shows("headway submit --permission ask")
        await stage.press("a")
        await stage.shows("nothing waits for you")
        await stage.press("escape")
        await stage.until(lambda: stage.app.screen is stage.queue)


async def test_an_engine_that_is_away_is_said_and_the_cards_come_when_it_is_back() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        engine.go_away("no engine serves this home")
        await stage.press("i")
        await stage.shows("It is asked again by itself.")
        engine.come_back()
        await stage.later(5_000)
        await stage.shows("3 cards for you")


async def test_the_job_says_that_it_waits_and_i_leads_to_its_card() -> None:
    async with console(scenes.asking(), 120, 40) as stage:
        await stage.shows("!3 for you")
        await stage.press(":")
        await stage.type("job 4832")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.shows("! asks you")
        screen = await opened(stage)
        assert screen.list.card is not None
        assert screen.list.card.job == 4832
        await stage.press("l")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.shows("J4832")


async def test_n_goes_to_what_asks_as_well_as_to_what_failed() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        seen = set()
        for _ in range(5):
            before = stage.queue.rows.cursor
            await stage.press("n")
            await stage.until(lambda before=before: stage.queue.rows.cursor != before)
            seen.add(stage.queue.rows.cursor_id)
        assert seen == {4833, 4832, 4830, 4812, 4809}


async def test_the_command_opens_it_too_and_the_text_can_be_scrolled() -> None:
    async with console(scenes.asking()) as stage:
        await stage.press(":")
        await stage.type("inbox")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
        screen = stage.app.screen
        assert isinstance(screen, InboxScreen)
        await stage.shows("3 cards for you")
        await stage.press("tab")
        assert stage.app.focused is screen.text
        await stage.press("escape")
        assert stage.app.focused is screen.list


# The words


def test_an_answer_is_told_in_one_line() -> None:
    (card, *_) = scenes.asking().cards
    done = replace(card, choice=Choice.DENY, answered_at=NOW)
    rule = Rule(tool="Bash", pattern="git push *", effect=Effect.DENY, id=3)
    said = texts.answered_line(Answered(card=done, rule=rule, also=[8, 9]))
    assert said == (
        "denied: J4833 Bash git push origin v0.3.0; rule 3: deny Bash `git push *` in every project; "
        "2 more cards with it"
    )


def test_arguments_that_are_no_object_are_shown_as_they_came() -> None:
    (card, *_) = scenes.asking().cards
    assert texts.argument_lines(card) == ["command: git push origin v0.3.0", "description: Push the tag"]
    assert texts.argument_lines(replace(card, arguments='{"cut": "in two')) == ['{"cut": "in two']
    assert texts.argument_lines(replace(card, arguments='{"a": "x\\ny", "b": [1]}')) == ["a: x", "  y", "b: [1]"]


@pytest.mark.parametrize(
    ("keys", "typed", "reply"),
    [
        ("a", None, Reply(choice=Choice.ACCEPT)),
        ("x", None, Reply(choice=Choice.DISMISS)),
        ("enter", "2 too wide", Reply(choice=Choice.DISMISS, reason="too wide")),
        ("enter", "accept", Reply(choice=Choice.ACCEPT)),
    ],
)
async def test_a_proposed_rule_is_answered_like_any_card(keys: str, typed: str | None, reply: Reply) -> None:
    engine = scenes.asking()
    engine.cards[0] = replace(engine.cards[0], kind=CardKind.POLICY, of_job=False)
    async with console(engine) as stage:
        await opened(stage)
        await stage.press(keys)
        if typed is not None:
            await stage.type(typed)
            await stage.press("enter")
        await stage.until(lambda: engine.replies == [(7, reply)])


async def test_a_card_is_put_aside_by_a_key() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        screen = await opened(stage)
        await stage.press("s", "enter")
        await stage.until(lambda: [(one.cards, one.until) for one in engine.snoozes] == [([7], "1h")])
        await stage.until(lambda: len(screen.list.cards) == 2 and "put aside until" in stage.text)


async def test_what_each_answer_would_do_stands_above_the_card() -> None:
    engine = scenes.asking()
    engine.foresees = True
    async with console(engine) as stage:
        await opened(stage)
        await stage.until(lambda: "allow  its agent goes on" in stage.text)
        assert "deny   its agent goes on" in stage.text


async def test_what_the_engine_tells_rings_and_keeps_the_terminal_from_the_words_of_others() -> None:
    engine = scenes.asking()
    async with console(engine) as stage:
        written: list[str] = []
        driver = stage.app._driver
        assert driver is not None
        keep, driver.write = driver.write, written.append  # type: ignore[method-assign]
        words = "git \x1b]0;x\x07 push\nmore"
        engine.emit(log.Notified("ab", NoticeClass.NEEDS_YOU, "J7: a permission waits for you", words))
        await stage.until(lambda: any("\x1b]9;" in one for one in written))
        driver.write = keep  # type: ignore[method-assign]
        (rung,) = [one for one in written if "\x1b]9;" in one]
        assert rung.startswith("\x1b]9;J7: a permission waits for you: git ") and rung.endswith("\x07\x07")
        assert rung.count("\x1b") == 1 and rung.count("\x07") == 2
