"""What time does to cards: defaults at their time, put aside and back, said louder; and several answered at once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine import events as log
from engine.card_kinds import all_kinds
from engine.decision import Card, CardKind, Choice, Reply, SnoozeCards, Snoozed
from engine.dispatch.routebook import NOTHING
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.permission import Policy
from engine.store import actions, answering, card_times, cards, decisions
from engine.store.card_times import Attention, Ticked
from engine.store.cards import Asking
from tests.store.samples import NOON, Bench, accepted

KINDS = all_kinds(NOTHING, {})
MINUTE = 60_000
HALF_HOUR = 30 * MINUTE
ATTENTION = Attention(warn=5 * MINUTE, escalate=60 * MINUTE, most=2)


async def asked(bench: Bench, *names: str, within: int = HALF_HOUR) -> int:
    """An attempt that has asked for some commands."""
    await bench.submit(accepted(project="/api"))
    (claim,) = await bench.claim()
    for name in names:
        one = Asking(name, CardKind.PERMISSION, "Bash", name, True, name, "{}")
        await bench.store.write(lambda tx, one=one: decisions.ask(tx, claim.attempt.id, one, (), Policy(within)))
    return claim.attempt.id


async def card(bench: Bench, number: int) -> Card:
    found = await bench.store.look(lambda tx: cards.one(tx, number))
    assert found is not None
    return found


async def tick(bench: Bench) -> Ticked:
    return await bench.store.write(lambda tx: card_times.tick(tx, KINDS, ATTENTION))


async def pending(bench: Bench) -> int | None:
    return await bench.store.look(lambda tx: card_times.pending(tx, KINDS, ATTENTION))


async def snooze(bench: Bench, *numbers: int, until: int | None, dry_run: bool = False) -> Snoozed:
    wanted = SnoozeCards(cards=[*numbers], dry_run=dry_run)
    return await bench.store.write(lambda tx: card_times.snooze(tx, wanted, until, "ann"))


def said(bench: Bench, kind: type[log.Body]) -> list[log.Body]:
    return [event.body for event in bench.published if isinstance(event.body, kind)]


async def test_a_default_is_told_before_it_is_taken_and_taken_at_its_time(bench: Bench) -> None:
    await asked(bench, "git push")
    assert await pending(bench) == NOON + HALF_HOUR - 5 * MINUTE
    bench.clock.now += HALF_HOUR - 5 * MINUTE
    assert await tick(bench) == Ticked(NOON + HALF_HOUR, answered=False)
    assert [one.due for one in said(bench, log.DefaultNear)] == [NOON + HALF_HOUR]  # type: ignore[attr-defined]
    assert await tick(bench) == Ticked(NOON + HALF_HOUR, answered=False)
    assert len(said(bench, log.DefaultNear)) == 1, "once"
    bench.clock.now += 5 * MINUTE
    assert await tick(bench) == Ticked(None, answered=True)
    done = await card(bench, 1)
    assert (done.choice, done.by) == (Choice.DENY, "time-out")
    assert "within 30m" in (done.reason or "")


async def test_a_card_that_is_put_aside_is_not_seen_and_its_default_waits_as_long(bench: Bench) -> None:
    await asked(bench, "git push")
    bench.clock.now += 10 * MINUTE
    until = bench.clock.now + 120 * MINUTE
    rehearsed = await snooze(bench, 1, until=until, dry_run=True)
    assert (await card(bench, 1)).snoozed_until is None
    done = await snooze(bench, 1, until=until)
    assert rehearsed == replace(done, dry_run=True, action=None)
    assert (done.cards[0].snoozed_until, done.cards[0].due) == (until, until + 20 * MINUTE)
    assert await bench.store.look(cards.waiting) == []
    assert await bench.store.read.open_cards() == 0
    assert await pending(bench) == until
    bench.clock.now = until
    await tick(bench)
    assert [one.id for one in await bench.store.look(cards.waiting)] == [1]
    assert said(bench, log.CardSnoozed)[-1] == log.CardSnoozed(1, "headway", None, until + 20 * MINUTE)
    # Snoozed twice, and taken up early: it has what it had left.
    await snooze(bench, 1, until=until + 60 * MINUTE)
    await snooze(bench, 1, until=until + 90 * MINUTE)
    await snooze(bench, 1, until=None)
    assert (await card(bench, 1)).due == until + 20 * MINUTE


async def test_undo_takes_a_card_up_again_that_was_put_aside(bench: Bench) -> None:
    await asked(bench, "a", "b")
    before = await bench.store.look(cards.opened)
    await snooze(bench, 1, 2, until=NOON + 120 * MINUTE)
    undone = (await bench.store.write(lambda tx: actions.undo(tx, "ann", None, KINDS, dry_run=False))).undone
    assert undone.said == "card 1 waits for you again; card 2 waits for you again"
    assert await bench.store.look(cards.opened) == before
    await snooze(bench, 1, until=NOON + 120 * MINUTE)
    await bench.store.write(lambda tx: answering.answer(tx, KINDS, 1, Reply(choice=Choice.ALLOW), "ann"))
    undone = (await bench.store.write(lambda tx: actions.undo(tx, "ann", 2, KINDS, dry_run=False))).undone
    assert undone.said == "card 1 has moved on since, and stays as it is"


async def test_what_cannot_be_put_aside_is_refused_and_then_nothing_is(bench: Bench) -> None:
    await asked(bench, "a", "b")
    await bench.store.write(lambda tx: answering.answer(tx, KINDS, 2, Reply(choice=Choice.ALLOW), "ann"))
    later = NOON + MINUTE
    for numbers, until, kind in (((1, 2), later, RefusedError), ((1, 7), later, NotFoundError), ((1,), 5, UsageError)):
        with pytest.raises(kind):
            await snooze(bench, *numbers, until=until)
        assert (await card(bench, 1)).snoozed_until is None


async def test_a_card_that_nobody_answers_is_said_louder_so_often(bench: Bench) -> None:
    await asked(bench, "a", within=0)
    for times in (1, 2):
        assert await pending(bench) == NOON + times * 60 * MINUTE
        bench.clock.now = NOON + times * 60 * MINUTE
        await tick(bench)
        assert (await card(bench, 1)).escalated == times
    assert await pending(bench) is None
    assert [one.times for one in said(bench, log.Escalated)] == [1, 2]  # type: ignore[attr-defined]


async def test_from_its_return_on_it_is_counted_how_long_nobody_answers(bench: Bench) -> None:
    await asked(bench, "a", within=0)
    await snooze(bench, 1, until=NOON + 50 * MINUTE)
    bench.clock.now = NOON + 50 * MINUTE
    await tick(bench)
    assert await pending(bench) == NOON + 110 * MINUTE


async def test_several_cards_are_answered_by_one_action_all_or_none(bench: Bench) -> None:
    await asked(bench, "a", "b", "git push x", "git push y")
    with pytest.raises(NotFoundError):
        await bench.store.write(lambda tx: answering.answer_all(tx, KINDS, [1, 9], Reply(choice=Choice.DENY), "ann"))
    assert len(await bench.store.look(cards.opened)) == 4
    reply = Reply(choice=Choice.RULE, pattern="git push *")
    done = await bench.store.write(lambda tx: answering.answer_all(tx, KINDS, [3, 4], reply, "ann"))
    assert [(one.card.id, one.also) for one in done] == [(3, [4])], "the rule has answered the second one"
    done = await bench.store.write(lambda tx: answering.answer_all(tx, KINDS, [1, 2], Reply(choice=Choice.DENY), "ann"))
    assert len({one.action for one in done}) == 1
    undone = (await bench.store.write(lambda tx: actions.undo(tx, "ann", None, KINDS, dry_run=False))).undone
    assert undone.said == "card 1 waits for you again; card 2 waits for you again"
    undone = (await bench.store.write(lambda tx: actions.undo(tx, "ann", None, KINDS, dry_run=False))).undone
    assert undone.said == "rule 1 holds no more; card 3, card 4 wait for you again"
    assert len(await bench.store.look(cards.opened)) == 4
