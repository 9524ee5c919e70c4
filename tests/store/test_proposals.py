"""From like answers to a rule: proposed once, kept or dismissed by its card, used, counted, ended, taken back."""

from __future__ import annotations

import pytest

from engine import events as log
from engine.card_kinds import all_kinds
from engine.decision import Answered, Card, CardKind, Choice, Proposal, Reply, Rule
from engine.dispatch.routebook import NOTHING
from engine.errors import UsageError
from engine.permission import Policy
from engine.store import actions, answering, card_times, cards, clarify, decisions, proposals, rules
from engine.store.card_times import Attention
from engine.store.cards import Asking, Due
from engine.store.proposals import Habit
from engine.store.rows import read_job
from engine.store.writer import Transaction
from tests.store.samples import NOON, Bench, accepted

KINDS = all_kinds(NOTHING, {})
DAY = 86_400_000
HABIT = Habit(least=3, holds=30 * DAY)


async def running(bench: Bench, project: str = "/api") -> tuple[int, int]:
    await bench.submit(accepted(project=project))
    (claim,) = await bench.claim()
    return claim.job.id, claim.attempt.id


async def ask(bench: Bench, attempt: int, name: str, command: str) -> bool:
    one = Asking(name, CardKind.PERMISSION, "Bash", command, True, command, "{}")
    return await bench.store.write(lambda tx: decisions.ask(tx, attempt, one, (), Policy()))


async def answer(bench: Bench, card: int, choice: Choice, **more: object) -> tuple[Answered, Proposal | None]:
    def write(tx: Transaction) -> tuple[Answered, Proposal | None]:
        reply = Reply(choice=choice, **more)  # type: ignore[arg-type]
        return answering.answer(tx, KINDS, card, reply, "ann"), proposals.consider(tx, card, HABIT)

    return await bench.store.write(write)


async def three(bench: Bench, *commands: str, choice: Choice = Choice.ALLOW) -> tuple[int, Proposal | None]:
    """An attempt whose three commands were answered alike, and what that suggested."""
    _, attempt = await running(bench)
    found = None
    before = len(await bench.store.look(lambda tx: cards.newest(tx, 1_000)))
    for number, command in enumerate(commands or ("make lint",) * 3, before + 1):
        await ask(bench, attempt, f"r{number}", command)
        _, found = await answer(bench, number, choice)
    return attempt, found


async def tick(bench: Bench) -> None:
    await bench.store.write(lambda tx: card_times.tick(tx, KINDS, Attention()))


async def waiting(bench: Bench) -> list[Card]:
    return await bench.store.look(cards.waiting)


async def undo(bench: Bench) -> str:
    return (await bench.store.write(lambda tx: actions.undo(tx, "ann", None, KINDS, dry_run=False))).undone.said


async def test_like_answers_put_up_a_card_that_keeps_the_rule_and_each_use_is_counted(bench: Bench) -> None:
    attempt, proposal = await three(bench)
    assert proposal is not None
    assert proposal.rule == Rule(tool="Bash", pattern="make lint", project="/api", expires_at=NOON + 30 * DAY)
    assert (proposal.past.matched, proposal.past.agreed, proposal.past.cards) == (3, 3, (3, 2, 1))
    (card,) = await waiting(bench)
    assert (card.kind, card.id, card.choices) == (CardKind.POLICY, proposal.card, (Choice.ACCEPT, Choice.DISMISS))
    assert "card 3, card 2, card 1" in card.why
    assert (await bench.row(card.job)).waiting_on is None, "its job does not wait for it"
    assert await bench.store.look(proposals.opened) == [proposal]
    done, _ = await answer(bench, card.id, Choice.ACCEPT)
    assert done.rule is not None and done.rule.card == card.id
    assert await bench.store.look(proposals.opened) == []
    assert await ask(bench, attempt, "later", "make lint"), "the rule answers it"
    assert not await ask(bench, attempt, "other", "make test")
    (rule,) = await bench.store.look(rules.rules)
    assert (rule.uses, rule.used_at) == (1, NOON)
    (used,) = await bench.store.look(lambda tx: cards.decided_by(tx, rule.id))
    told = [event for event in bench.published if isinstance(event.body, log.Answered) and event.body.rule == rule.id]
    assert [(event.job, event.body.card) for event in told] == [(used.job, used.id)]  # type: ignore[union-attr]


async def test_undo_of_an_accepted_rule_takes_it_back_and_asks_again(bench: Bench) -> None:
    _, proposal = await three(bench)
    assert proposal is not None and proposal.card is not None
    await answer(bench, proposal.card, Choice.ACCEPT)
    assert await undo(bench) == f"rule 1 holds no more; card {proposal.card} waits for you again"
    assert await bench.store.look(rules.rules) == []
    assert [one.id for one in await bench.store.look(proposals.opened)] == [proposal.id]


async def test_what_was_dismissed_is_not_proposed_again_unless_it_is_wanted(bench: Bench) -> None:
    attempt, proposal = await three(bench)
    assert proposal is not None and proposal.card is not None
    await answer(bench, proposal.card, Choice.DISMISS)
    await ask(bench, attempt, "again", "make lint")
    assert (await answer(bench, 5, Choice.ALLOW))[1] is None
    assert await bench.store.write(lambda tx: proposals.consider_all(tx, HABIT, again=False)) == []
    (found,) = await bench.store.write(lambda tx: proposals.consider_all(tx, HABIT, again=True))
    assert found.past.agreed == 4


async def test_one_proposal_waits_at_a_time_and_none_beside_a_rule_that_says_it(bench: Bench) -> None:
    attempt, proposal = await three(bench)
    assert proposal is not None
    await ask(bench, attempt, "again", "make lint")
    assert (await answer(bench, 5, Choice.ALLOW))[1] is None
    await bench.store.write(lambda tx: rules.keep(tx, Rule(tool="Bash", pattern="rm *", project="/web"), "ann"))
    _, elsewhere = await three(bench, *["rm x"] * 3)
    assert elsewhere is not None, "the rule is of another project"


async def test_nothing_is_proposed_that_a_kept_rule_refuses(bench: Bench) -> None:
    _, attempt = await running(bench)
    for number, branch in enumerate(("a", "b"), 1):
        await ask(bench, attempt, branch, f"git push origin {branch}")
        await answer(bench, number, Choice.ALLOW)
    await ask(bench, attempt, "main", "git push origin main")
    await answer(bench, 3, Choice.DENY, pattern="git push origin main")
    await ask(bench, attempt, "c", "git push origin c")
    assert (await answer(bench, 4, Choice.ALLOW))[1] is None


async def test_a_rule_ends_at_its_time(bench: Bench) -> None:
    attempt, proposal = await three(bench)
    assert proposal is not None and proposal.card is not None
    with pytest.raises(UsageError, match="no span of time"):
        await answer(bench, proposal.card, Choice.ACCEPT, expires="soon")
    await answer(bench, proposal.card, Choice.ACCEPT, expires="1h")
    due = await bench.store.look(lambda tx: card_times.pending(tx, KINDS, Attention()))
    assert due == NOON + 3_600_000
    bench.clock.now += 3_600_000
    assert not await ask(bench, attempt, "late", "make lint"), "it holds no more, whoever looks first"
    await tick(bench)
    assert await bench.store.look(rules.rules) == []
    (dropped,) = [event.body for event in bench.published if isinstance(event.body, log.RuleDropped)]
    assert dropped.by == "its time"


async def test_a_rule_answers_cards_of_other_kinds_as_soon_as_they_are_there(bench: Bench) -> None:
    def vague(tx: Transaction, job: int) -> None:
        row = read_job(tx.connection, job)
        assert row is not None
        clarify.ask_first(tx, row, "it is vague", "fix it")

    jobs = await bench.submit(*[accepted(project="/api") for _ in range(4)])
    for card, job in enumerate(jobs[:3], 1):
        await bench.store.write(lambda tx, job=job: vague(tx, job))
        _, proposal = await answer(bench, card, Choice.RUN)
    assert proposal is not None and proposal.card is not None
    assert (proposal.rule.kind, proposal.rule.choice) == (CardKind.CLARIFY, Choice.RUN)
    await answer(bench, proposal.card, Choice.ACCEPT)
    await bench.store.write(lambda tx: vague(tx, jobs[3]))
    assert await bench.store.look(lambda tx: card_times.pending(tx, KINDS, Attention())) == NOON
    await tick(bench)
    row = await bench.row(jobs[3])
    assert (row.held_by, row.waiting_on) == (None, None)
    assert (await bench.store.look(rules.rules))[0].uses == 1
    assert await bench.store.look(lambda tx: card_times.pending(tx, KINDS, Attention())) == NOON + 30 * DAY


async def test_a_rule_that_cannot_be_carried_out_leaves_the_card_to_the_operator(bench: Bench) -> None:
    (job,) = await bench.submit(accepted(project="/api"))
    rule = Rule(tool="route", kind=CardKind.ROUTE, choice=Choice.REROUTE, words="nowhere:none", project="/api")
    await bench.store.write(lambda tx: rules.keep(tx, rule, "ann"))

    def put_up(tx: Transaction) -> None:
        row = read_job(tx.connection, job)
        assert row is not None
        asking = Asking("r", CardKind.ROUTE, "route", "claude limit", False, "where?", "{}", options=("codex",))
        answering.raise_card(tx, row, 0, asking, Due(None, Choice.WAIT))

    await bench.store.write(put_up)
    await tick(bench)
    (card,) = await waiting(bench)
    assert (card.kind, (await bench.row(job)).held_by) == (CardKind.ROUTE, f"card {card.id}")
    assert (await bench.store.look(rules.rules))[0].uses == 0
    assert await bench.store.look(lambda tx: card_times.pending(tx, KINDS, Attention())) is None, "it is tried once"
    done, _ = await answer(bench, card.id, Choice.WAIT)
    assert (done.card.by, done.card.rule) == ("ann", None)
