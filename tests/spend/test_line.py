"""What agents submit spends of the budget of the job at the beginning of the line."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.budgets import Amount
from engine.decision import CardKind, Choice, Reply
from engine.errors import RefusedError
from engine.model import State
from engine.spend.budgets import Budgets, Means
from engine.store import Store, actions, answering, budgets, cards, jobs, kin
from engine.store.budget_cards import BudgetCards
from engine.store.claims import Claim
from engine.store.tools import Parent
from tests.spend.test_budgets import spending
from tests.store.samples import Bench, Clock, accepted, failure, success

KINDS = {CardKind.BUDGET: BudgetCards()}
FREE = Budgets()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = Clock()
    store = await Store.open(tmp_path, lambda events: None, clock)
    yield Bench(store, tmp_path / "headway.db", clock)
    await store.close()


async def family(bench: Bench) -> tuple[Claim, Claim]:
    """A parent with a budget of 100 micro-dollars, and a job that its agent submitted; both run."""
    one = accepted("parent")
    await bench.submit(dataclasses.replace(one, spec=replace(one.spec, budget="$0.0001")))
    (parent,) = await bench.claim()
    child = dataclasses.replace(accepted("child"), parent=Parent(parent.attempt.id, 1, 1))
    await bench.submit(child)
    (claim,) = await bench.claim()
    return parent, claim


async def spend(bench: Bench, claim: Claim, name: str, micros: int) -> tuple[str, ...]:
    own = await bench.store.look(lambda tx: budgets.own_of(tx, claim.job, claim.spec.budget, FREE))
    assert own is not None and (own.scope, own.cap) == ("job:1", Amount(micros=100))
    entry = spending(name, micros)
    paid = await bench.store.write(lambda tx: jobs.spent(tx, claim.attempt.id, [entry], Means(FREE, own)))
    return tuple(paid.used_up)


async def park(bench: Bench, *claims: Claim) -> None:
    for claim in claims:
        row = await bench.settle(claim.attempt.id, failure(back=0))
        await bench.store.write(lambda tx, row=row: jobs.put_on_hold(tx, row, budgets.HOLD))


async def test_a_line_of_jobs_spends_of_one_budget_and_goes_on_as_one(bench: Bench) -> None:
    parent, child = await family(bench)
    assert await spend(bench, parent, "a", 60) == ()
    assert await spend(bench, child, "b", 50) == ("job:1",), "neither alone would be past it"
    (card,) = await bench.store.look(cards.opened)
    assert (card.job, card.tool) == (2, "job:1")
    await park(bench, parent, child)
    answered = await bench.store.write(lambda tx: answering.answer(tx, KINDS, card.id, Reply(choice=Choice.MORE), "me"))
    assert [(await bench.row(job)).held_by for job in (1, 2)] == [None, None], "both are let go"
    await bench.store.write(lambda tx: actions.undo(tx, "me", answered.action, KINDS, dry_run=False))
    assert [(await bench.row(job)).held_by for job in (1, 2)] == [budgets.HOLD, budgets.HOLD]
    await bench.store.write(lambda tx: answering.answer(tx, KINDS, card.id, Reply(choice=Choice.STOP), "me"))
    assert [(await bench.row(job)).state for job in (1, 2)] == [State.FAILED, State.FAILED]


async def test_the_question_stays_for_as_long_as_one_of_the_line_goes_on(bench: Bench) -> None:
    parent, child = await family(bench)
    await spend(bench, parent, "a", 120)
    (card,) = await bench.store.look(cards.opened)
    assert card.job == 1
    await bench.settle(parent.attempt.id, success())
    assert [one.id for one in await bench.store.look(cards.opened)] == [card.id]
    stale = await bench.store.look(lambda tx: KINDS[CardKind.BUDGET].stale(tx, card, child.job))
    assert stale == ""
    await bench.settle(child.attempt.id, success())
    stale = await bench.store.look(lambda tx: KINDS[CardKind.BUDGET].stale(tx, card, child.job))
    assert stale == "the jobs that spend of it have ended"


async def test_how_many_and_how_deep_is_held_where_a_job_is_written(bench: Bench) -> None:
    parent, child = await family(bench)
    for attempt, bound in ((parent, Parent(parent.attempt.id, 1, 1)), (child, Parent(child.attempt.id, 1, 9))):
        with pytest.raises(RefusedError):
            await bench.submit(dataclasses.replace(accepted("more"), parent=bound))
        assert attempt.job.id in (1, 2)
    assert await bench.store.look(lambda tx: kin.line(tx, 1)) == [1, 2]
    await bench.settle(parent.attempt.id, success())
    with pytest.raises(RefusedError, match="settled"):
        await bench.submit(dataclasses.replace(accepted("late"), parent=Parent(parent.attempt.id, 9, 9)))
