"""The end of an attempt for its target and its account: who starts after a limit, and when what failed comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from engine.agents.base import Outcome
from engine.agents.registry import agents
from engine.config import AgentSettings, Settings
from engine.dispatch import settling
from engine.dispatch.budget import Budget
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.retry import MOST_WAITS
from engine.dispatch.routebook import Routebook
from engine.dispatch.settling import Ending, Rules
from engine.model import Breaker, Failure, State, Target, Verb
from engine.store import moves, submit, verbs
from engine.store import windows as kept
from engine.store.rows import JobRow
from engine.store.verbs import Request
from engine.store.writer import Transaction
from engine.window import Reading, Standing
from tests.store.samples import NOON, accepted, connect, table

MINUTE = 60_000
NOW_AND_FIVE_HOURS = NOON + 300 * MINUTE
SETTINGS = Settings(max_running=20, agents={"claude": AgentSettings()})
RULES = Rules(3, Budget(burst=2, every=MINUTE))


@dataclass
class Floor:
    """Jobs of one account, and what runs of them."""

    tx: Transaction
    running: dict[int, int] = field(default_factory=dict)

    def start(self) -> list[int]:
        dispatcher = Dispatcher(None, SETTINGS, {}, "boot", lambda claim: None)  # type: ignore[arg-type]
        found = {claim.job.id: claim.attempt.id for claim in dispatcher.round(self.tx).claims}
        self.running |= found
        return sorted(found)

    def end(self, job: int, failure: Failure | None = None, retry_at: int | None = None) -> JobRow:
        outcome = Outcome(succeeded=failure is None, failure=failure, reason="so it was", retry_at=retry_at)
        ending = Ending(outcome, resumable=True, provider=True)
        return settling.settle(self.tx, self.running.pop(job), ending, RULES)


@pytest.fixture
def floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Floor]:
    monkeypatch.setattr("engine.dispatch.settling.random.random", lambda: 0.0)
    connection = connect(tmp_path / "headway.db")
    tx = Transaction(connection, NOON)
    submit.submit(tx, [accepted(agent="claude") for _ in range(6)])
    yield Floor(tx)
    connection.close()


def test_a_limit_parks_all_of_its_account_then_one_goes_and_each_success_lets_twice_as_many_go(floor: Floor) -> None:
    submit.submit(floor.tx, [accepted(agent="claude") for _ in range(3)])
    started = floor.start()
    for job in started:
        row = floor.end(job, Failure.RATE_LIMITED, NOON + MINUTE)
        assert (row.state, row.tries) == (State.READY, 0), "a limit uses up no attempt"
    submit.submit(floor.tx, [accepted(agent="claude") for _ in range(3)])
    assert floor.start() == [], "those that have not met it wait as well"
    floor.tx.now = NOON + MINUTE
    (first,) = floor.start()
    assert floor.start() == []
    floor.end(first, Failure.RATE_LIMITED, NOON + 2 * MINUTE)
    floor.tx.now = NOON + 2 * MINUTE - 1
    assert floor.start() == [], "the canary has found it closed"
    floor.tx.now = NOON + 10 * MINUTE
    (first,) = floor.start()
    floor.end(first)
    pair = floor.start()
    assert len(pair) == 2
    for job in pair:
        floor.end(job)
    assert len(floor.start()) == 8, "all that are left of twelve, less one: as eight may go"


def test_who_comes_back_from_a_limit_once_more_lets_another_try_first(floor: Floor) -> None:
    first, *others = floor.start()
    submit.submit(floor.tx, [accepted(agent="claude", priority=9)])
    for job in others:
        floor.end(job)
    floor.end(first, Failure.RATE_LIMITED, NOON + MINUTE)
    floor.tx.now = NOON + MINUTE
    assert floor.start() == [first]
    again = floor.end(first, Failure.RATE_LIMITED, NOON + 3 * MINUTE)
    assert again.not_before == NOON + 3 * MINUTE + 1_000
    floor.tx.now = NOON + 3 * MINUTE
    assert floor.start() == [7], "though it is less urgent: else one that asks for too much keeps all others back"


def test_who_ends_only_after_the_limit_that_it_met_goes_back_at_once(floor: Floor) -> None:
    (first, *_) = floor.start()
    told = Reading(window="requests", standing=Standing.CLOSED, at=NOON, source="it", resets_at=NOON + 300)
    kept.record(floor.tx, "claude", [told], 0.0)
    floor.tx.now = NOON + 5_000
    row = floor.end(first, Failure.RATE_LIMITED, NOON + 300)
    assert (row.state, row.not_before, row.tries) == (State.READY, None, 0)
    assert [one.name for one in kept.of(floor.tx, "claude")] == ["requests"], "and is no limit without a name"


def test_other_accounts_and_agents_do_not_wait(floor: Floor) -> None:
    (first, *_) = floor.start()
    floor.end(first, Failure.RATE_LIMITED, NOW_AND_FIVE_HOURS)
    wanted = accepted(agent="claude")
    elsewhere = submit.submit(floor.tx, [replace(wanted, account="other"), accepted(agent="shell")])
    submit.submit(floor.tx, [wanted])
    assert floor.start() == sorted(elsewhere)


def test_what_fails_together_comes_back_one_after_the_other(floor: Floor) -> None:
    rows = [floor.end(job, Failure.CRASHED) for job in floor.start()]
    assert [row.not_before for row in rows] == [None, None, *(NOON + MINUTE * at for at in (1, 2, 3, 4))]
    assert {row.failure for row in table(floor.tx.connection).values()} == {Failure.CRASHED}


def test_what_met_one_limit_waits_for_its_end_and_takes_nothing_of_the_budget(floor: Floor) -> None:
    first, second, *more = floor.start()
    for job in more:
        assert floor.end(job, Failure.RATE_LIMITED, NOW_AND_FIVE_HOURS).not_before == NOW_AND_FIVE_HOURS
    assert floor.end(first, Failure.ENGINE_LOST).not_before is None
    assert floor.end(second, Failure.RATE_LIMITED, NOW_AND_FIVE_HOURS).not_before == NOW_AND_FIVE_HOURS


@pytest.mark.parametrize("failure", [Failure.AUTH, Failure.BILLING])
def test_a_hold_that_the_operator_has_to_mend_uses_up_no_attempt(floor: Floor, failure: Failure) -> None:
    (first, *_) = floor.start()
    row = floor.end(first, failure)
    assert (row.state, row.held_by, row.tries) == (State.READY, "headway", 0)


def test_a_job_that_was_rerouted_while_it_ran_does_not_wait_for_the_old_accounts_limit(floor: Floor) -> None:
    first, *_ = floor.start()
    verbs.act(floor.tx, Request(Verb.REROUTE, [first], "ann", target=Target("claude", None, "other")))
    row = floor.end(first, Failure.RATE_LIMITED, NOW_AND_FIVE_HOURS)
    assert (row.state, row.not_before) == (State.READY, None)


def test_after_too_many_waits_a_job_is_held_where_it_is_and_not_sent_on(floor: Floor) -> None:
    own = msgspec.convert({"routes": {"r": {"targets": ["claude", "codex", "gemini"], "limit": "reroute"}}}, Settings)
    rules = Rules(3, RULES.budget, Routebook.of(own, agents()))
    (job,) = submit.submit(floor.tx, [replace(accepted(agent="claude"), route="r")])
    floor.tx.connection.execute("UPDATE jobs SET waits = ? WHERE id = ?", (MOST_WAITS - 1, job))
    for target, held in (("codex", None), ("codex", "headway")):
        floor.start()
        outcome = Outcome(succeeded=False, failure=Failure.RATE_LIMITED, reason="so it was")
        row = settling.settle(floor.tx, floor.running.pop(job), Ending(outcome, resumable=True, provider=True), rules)
        assert (str(row.target), row.held_by) == (target, held)
    assert len(moves.of_job(floor.tx, job)) == 1


def test_of_many_that_a_closed_target_keeps_only_those_move_that_may_start_elsewhere(floor: Floor) -> None:
    route = {"targets": ["claude", "codex"], "overload": "reroute"}
    own = msgspec.convert(
        {"max_running": 20, "agents": {"codex": {"max_running": 2}}, "routes": {"r": route}}, Settings
    )
    book = Routebook.of(own, agents())
    first = submit.submit(floor.tx, [replace(accepted(agent="claude"), route="r") for _ in range(5)])
    paused = Breaker("claude", Failure.OVERLOADED, until=NOON + MINUTE, opened=1, allowed=1)
    settling.keep_breaker(floor.tx, Breaker("claude"), paused)
    dispatcher = Dispatcher(None, own, {}, "boot", lambda claim: None, book=book)  # type: ignore[arg-type]

    def look() -> list[str]:
        dispatcher.round(floor.tx)
        rows = table(floor.tx.connection)
        return [f"{rows[job].agent} {rows[job].state}" for job in first]

    assert look() == ["codex running", "codex running", "claude ready", "claude ready", "claude ready"]
    assert look()[2:] == ["claude ready"] * 3, "codex has no room for them"
    floor.tx.connection.execute("UPDATE attempts SET ended_at = 1 WHERE agent = 'codex' AND job = ?", (first[0],))
    assert look()[2:] == ["codex running", "claude ready", "claude ready"]
