"""Budgets: what is said of them, how they stand, and that none is overspent by more than the messages in flight."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as log
from engine.agents.registry import agents
from engine.budgets import Allow, Amount, Per, Standing
from engine.config import BudgetSettings, ProjectSettings, Settings, SpendSettings, load_settings
from engine.decision import CardKind, Choice, Reply
from engine.errors import UsageError
from engine.model import Grade, Usage
from engine.money import Entry
from engine.spend.budgets import Budget, Budgets, Means, Spent, period, standing
from engine.store import Store, answering, budget_lines, budgets, cards, jobs
from engine.store.budget_cards import BudgetCards
from tests.store.samples import Bench, Clock, accepted, success

KINDS = {CardKind.BUDGET: BudgetCards()}

DOLLAR = 1_000_000


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$2", Amount(micros=2 * DOLLAR)),
        (2, Amount(micros=2 * DOLLAR)),
        (0.5, Amount(micros=DOLLAR // 2)),
        ("2.50", Amount(micros=2_500_000)),
        ("200k tokens", Amount(tokens=200_000)),
        ("1.5M tok", Amount(tokens=1_500_000)),
        ("7 tokens", Amount(tokens=7)),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str | float, amount: Amount) -> None:
    assert Amount.parse(text) == amount
    assert Amount.parse(str(amount)) == amount


@pytest.mark.parametrize("text", ["", "-1", "$-1", "nothing", "2 euro", "1e9", "99999999999999999 tokens", "nan"])
def test_what_is_no_amount_is_refused_in_plain_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|anybody"):
        Amount.parse(text)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("budgets: {dya: {cap: 1}}", "line 1.*there is no scope 'dya'.*day"),
        ("budgets:\n  day: {cap: -3}", "line 2.*budgets.day.cap.*no amount"),
        ("budgets:\n  day: {warn: 5, cap: 3}", "line 2.*past the cap"),
        ("budgets:\n  day: {warn: 5 tokens, cap: 3}", "line 2.*both money"),
        ("budgets:\n  day: {}", "line 2.*say warn, cap or both"),
        ("budgets:\n  day: {cap: 1, per: week}", "by the day"),
        ("budgets:\n  job: {cap: 1, per: day}", "one budget"),
        ("budgets:\n  project:nope: {cap: 1}", "no project 'nope'"),
        ("budgets:\n  route:nope: {cap: 1}", "no route 'nope'"),
    ],
)
def test_a_wrong_budget_is_refused_with_its_line(tmp_path: Path, lines: str, said: str) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(lines + "\n")
    with pytest.raises(UsageError, match=said.replace(".*", "[^\0]*")):
        load_settings(file, agents())


def test_names_of_the_settings_stand_for_what_they_name() -> None:
    told = Settings(
        projects={"api": ProjectSettings(path="/src/api")},
        budgets={"project:api": BudgetSettings(cap=5), "day": BudgetSettings(cap="$9"), "job": BudgetSettings(cap=1)},
    )
    found = Budgets.of(told)
    assert [(one.scope, one.per) for one in found.shared] == [("project:/src/api", Per.EVER), ("day", Per.DAY)]
    assert found.job is not None and found.job.cap == Amount(micros=DOLLAR)


def test_a_job_has_its_own_word_then_that_of_all_then_what_its_kind_costs() -> None:
    usual = Budgets.of(Settings())
    assert usual.of_job(1, "$2", 500, 99) == Budget("job:1", cap=Amount(micros=2 * DOLLAR), source="the job")
    every = Budgets.of(Settings(budgets={"job": BudgetSettings(warn=1, cap=3)}))
    assert every.of_job(1, None, 500, 99) == Budget("job:1", Amount(micros=DOLLAR), Amount(micros=3 * DOLLAR))
    by_kind = usual.of_job(1, None, 500, 10)
    assert by_kind is not None and by_kind.cap == Amount(micros=1_500)
    assert by_kind.source == "3 x the median of 10 jobs of its kind"
    assert usual.of_job(1, None, 500, 9) is None, "too few to know"
    assert Budgets.of(Settings(spend=SpendSettings(usual=0))).of_job(1, None, 500, 99) is None, "switched off"


@pytest.mark.parametrize(
    ("spent", "stands"),
    [
        (Spent(micros=4), Standing.OPEN),
        (Spent(micros=5), Standing.WARNED),
        (Spent(micros=10), Standing.USED_UP),
        (Spent(micros=10, allowed=Amount(micros=1)), Standing.WARNED),
        (Spent(micros=10, allowed=Amount(tokens=1)), Standing.USED_UP),
        (Spent(micros=99, uncapped=True), Standing.UNCAPPED),
    ],
)
def test_how_a_budget_stands(spent: Spent, stands: Standing) -> None:
    assert standing(Budget("day", Amount(micros=5), Amount(micros=10)), spent) is stands


@given(st.datetimes(datetime(2000, 1, 2), datetime(2060, 1, 1)), st.sampled_from(list(Per)))
def test_a_time_lies_in_its_period_and_the_next_one_begins_at_its_end(when: datetime, per: Per) -> None:
    now = int(when.timestamp() * 1000)
    found = period(per, now)
    assert found.since <= now
    if found.until is not None:
        assert now < found.until
        assert period(per, found.until).since == found.until
        assert datetime.fromtimestamp(found.until / 1000).hour == 0


# A queue in small: attempts that run side by side and stop when they hear that a budget is used up.

Step = tuple[int, int]
"""Which of the attempts, and what its next message costs."""


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 900)), max_size=40),
    st.integers(500, 4_000),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 39), st.integers(100, 2_000)), max_size=3),
)
def test_no_budget_is_overspent_by_more_than_the_messages_in_flight(
    steps: list[Step], cap: int, in_tokens: bool, more: list[tuple[int, int]]
) -> None:
    asyncio.run(_spend(steps, cap, in_tokens=in_tokens, more=dict(more)))


async def _spend(steps: list[Step], cap: int, *, in_tokens: bool, more: dict[int, int]) -> None:
    amount = Amount(tokens=cap) if in_tokens else Amount(micros=cap)
    shared = Budgets(shared=(Budget("all", cap=amount),))
    with tempfile.TemporaryDirectory() as directory:
        store = await Store.open(Path(directory), lambda events: None, Clock())
        bench = Bench(store, Path(directory) / "headway.db", Clock())
        try:
            await bench.submit(*(accepted(f"job {n}") for n in range(4)))
            running = await bench.claim(4)
            flight: dict[int, int] = {}
            spent, limit = 0, cap
            stopped: set[int] = set()
            for number, (who, cost) in enumerate(steps):
                if (raised := more.get(number)) is not None and limit <= spent < limit + raised:
                    wanted = Allow(scope="all", amount=f"{raised} tokens" if in_tokens else f"${raised / DOLLAR:.6f}")
                    await store.write(lambda tx, wanted=wanted: budget_lines.allow_more(tx, shared, wanted, "me"))
                    limit += raised
                    stopped.clear()
                if who in stopped:
                    continue
                usage = Usage(model="m", input_tokens=cost, cost_micros=cost, grade=Grade.REPORTED)
                entry = Entry(message=f"m{number}", usage=usage)
                paid = await store.write(
                    lambda tx, who=who, entry=entry: jobs.spent(tx, running[who].attempt.id, [entry], Means(shared))
                )
                spent += cost
                flight[who] = cost
                if paid.used_up:
                    stopped.add(who)
            (line,) = await store.look(lambda tx: budget_lines.lines(tx, shared))
            assert (line.spent_micros, line.spent_tokens) == (spent, spent)
            # Each attempt may have had one message on its way when the others used the budget up.
            assert spent - sum(flight.values()) < limit
            assert (line.standing is Standing.USED_UP) == (spent >= limit)
        finally:
            await store.close()


@pytest.fixture
async def bench(tmp_path: Path):  # type: ignore[no-untyped-def]
    clock = Clock()
    published: list[log.Event] = []
    store = await Store.open(tmp_path, published.extend, clock)
    yield Bench(store, tmp_path / "headway.db", clock, published)
    await store.close()


def spending(name: str, micros: int) -> Entry:
    return Entry(message=name, usage=Usage(model="m", input_tokens=1, cost_micros=micros, grade=Grade.REPORTED))


async def test_it_is_told_once_that_a_budget_begins_to_be_short_and_once_that_it_is_used_up(bench: Bench) -> None:
    all_ = Budgets(shared=(Budget("day", Amount(micros=50), Amount(micros=100), Per.DAY),))
    await bench.submit(accepted("a"))
    (claim,) = await bench.claim()
    for number in range(6):
        entry = spending(f"m{number}", 30)
        await bench.store.write(lambda tx, entry=entry: jobs.spent(tx, claim.attempt.id, [entry], Means(all_)))
    told = [event.body for event in bench.published if isinstance(event.body, log.BudgetWarned | log.BudgetReached)]
    assert [type(one) for one in told] == [log.BudgetWarned, log.BudgetReached]
    assert [one.spent for one in told] == [Amount(micros=60), Amount(micros=120)]
    (card,) = await bench.store.look(cards.opened)
    assert card.choices == (Choice.MORE, Choice.UNCAPPED, Choice.STOP)
    assert "the budget of the day is used up: $0.00012 of $0.0001 are spent" in card.summary
    assert (await bench.row(claim.job.id)).waiting_on is None, "a shared budget is no affair of this job"
    answered = await bench.store.write(lambda tx: answering.answer(tx, KINDS, card.id, Reply(choice=Choice.MORE), "me"))
    assert answered.card.choice is Choice.MORE
    (line,) = await bench.store.look(lambda tx: budget_lines.lines(tx, all_))
    assert (line.cap, line.spent_micros, line.standing) == (Amount(micros=280), 180, Standing.WARNED)
    await bench.store.write(lambda tx: jobs.spent(tx, claim.attempt.id, [spending("last", 100)], Means(all_)))
    assert len(await bench.store.look(cards.opened)) == 1, "it is asked again once that is used up as well"
    bench.clock.now += 86_400_000
    (line,) = await bench.store.look(lambda tx: budget_lines.lines(tx, all_))
    assert (line.spent_micros, line.standing) == (0, Standing.OPEN), "a new day"


async def test_a_budget_that_is_new_knows_what_was_spent_before_it(bench: Bench) -> None:
    await bench.submit(accepted("a"), accepted("b", project="/src/api"))
    for claim in await bench.claim(2):
        ended = dataclasses.replace(success(), spent=(spending(f"m{claim.job.id}", 40),))
        await bench.settle(claim.attempt.id, ended)
    all_ = Budgets(shared=(Budget("all", cap=Amount(micros=100)), Budget("project:/src/api", cap=Amount(micros=40))))
    lines = await bench.store.look(lambda tx: budget_lines.lines(tx, all_))
    assert [(one.spent_micros, one.standing) for one in lines] == [(80, Standing.OPEN), (40, Standing.USED_UP)]
    await bench.store.write(lambda tx: budgets.prepare(tx, all_))
    assert await bench.store.look(lambda tx: budget_lines.lines(tx, all_)) == lines
    assert list(await bench.store.look(lambda tx: budgets.exhausted(tx, all_))) == ["project:/src/api"]


async def test_the_median_of_a_kind_is_of_its_own_successes(bench: Bench) -> None:
    from engine.store import spend

    for number in range(3):
        await bench.submit(dataclasses.replace(accepted(f"j{number}"), spec=_of_kind("review")))
        (claim,) = await bench.claim()
        ended = dataclasses.replace(success(), spent=(spending(f"m{number}", 10 * (number + 1)),))
        await bench.settle(claim.attempt.id, ended)
    found = await bench.store.look(lambda tx: spend.usual(tx, "review"))
    assert found == spend.Usual(20, 3)
    assert await bench.store.look(lambda tx: spend.usual(tx, "review", claim.job.target)) == found
    assert await bench.store.look(lambda tx: spend.usual(tx, "other")) is None


def _of_kind(kind: str):  # type: ignore[no-untyped-def]
    from engine.model import JobSpec

    return JobSpec(prompt="p", kind=kind)
