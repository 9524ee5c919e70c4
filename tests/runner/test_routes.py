"""Routes on a running engine: every cause with every policy, what is recorded, and what the next agent is told."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine import events as log
from engine.config import AccountSettings, RouteSettings, Settings
from engine.decision import Card, CardKind, Choice, Reply
from engine.engine import Engine, serving
from engine.model import Cause, Failure, JobSpec, State
from engine.model.route import RouteCause, RoutePolicy
from tests.runner.living import ended, rehearsal, settled, submit, until

Steps = list[dict[str, object]]
DONE: Steps = [{"do": "say", "text": "finished"}]
LATER = 3_600

#: How an attempt ends by each cause, and the class that it has then.
ENDS: Mapping[RouteCause, tuple[Steps, Failure]] = {
    RouteCause.LIMIT: ([{"do": "fail", "kind": "usage_limit", "resets_in": LATER}], Failure.RATE_LIMITED),
    RouteCause.OVERLOAD: ([{"do": "fail", "kind": "overloaded"}], Failure.OVERLOADED),
    RouteCause.AUTH: ([{"do": "fail", "kind": "auth"}], Failure.AUTH),
    RouteCause.CONTEXT: ([{"do": "fail", "kind": "context"}], Failure.CONTEXT_OVERFLOW),
    RouteCause.QUALITY: ([{"do": "deny", "tool": "Bash"}, {"do": "say", "text": "I could not"}], Failure.BAD_OUTPUT),
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait, and rehearsals do not pause."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


def settings(targets: list[str], **said: Any) -> Settings:
    """One route, `r`, which jobs have to name, over an account of its own for each target but the first."""
    accounts = {f"a{n}": AccountSettings(agent="rehearsal") for n in range(1, len(targets))}
    named = [f"{one}@a{n}" if n else one for n, one in enumerate(targets)]
    return Settings(max_running=4, grace=1.0, accounts=accounts, routes={"r": RouteSettings(targets=named, **said)})


def routed(**more: Any) -> JobSpec:
    return JobSpec(prompt="mend it", route="r", **more)


async def card_of(engine: Engine, job: int) -> Card:
    """The card of a job, once it is there."""

    async def holds() -> bool:
        return any(card.job == job for card in await engine.inbox.cards())

    await until(engine, holds)
    return next(card for card in await engine.inbox.cards() if card.job == job)


async def events_of(engine: Engine, job: int) -> list[log.AnyBody]:
    return [event.body for event in await engine.store.read.events(0, 1_000, job)]


async def explained(engine: Engine, job: int) -> str:
    found = await engine.explain(job)
    return "\n".join([*map(str, found.waiting), *found.notes])


@pytest.mark.parametrize("policy", RoutePolicy)
@pytest.mark.parametrize("cause", RouteCause)
async def test_each_policy_does_for_each_cause_what_it_says(
    home: Path, tmp_path: Path, cause: RouteCause, policy: RoutePolicy
) -> None:
    steps, failure = ENDS[cause]
    bad, good = (f"rehearsal:{rehearsal(tmp_path, steps, DONE)}", f"rehearsal:{rehearsal(tmp_path, DONE)}")
    said = {str(cause): policy}
    async with serving(home, settings([bad, good], **said)) as engine:
        (job,) = await submit(engine, routed(max_attempts=2))
        first, second = (str(one) for one in engine.routes.book.routes["r"].targets)
        _, tried = await settled(engine, job)
        assert (str(tried.target), tried.failure) == (first, failure)
        check = {
            RoutePolicy.WAIT: _waits,
            RoutePolicy.REROUTE: _reroutes,
            RoutePolicy.ASK: _asks,
            RoutePolicy.STOP: _stops,
        }[policy]
        await check(engine, job, cause, failure, first, second)


async def _waits(engine: Engine, job: int, cause: RouteCause, failure: Failure, first: str, second: str) -> None:
    if cause is RouteCause.LIMIT:
        row = await engine.row(job)
        assert (row.state, str(row.target)) == (State.READY, first)
        assert row.not_before is not None
        reasons = (await engine.explain(job)).waiting
        assert Cause.LIMIT in {one.cause for one in reasons}
    else:
        row, attempts = await ended(engine, job)
        assert {str(one.target) for one in attempts} == {first}
        fresh = cause is RouteCause.CONTEXT
        assert row.state is (State.FAILED if fresh else State.SUCCEEDED), "a new session meets the same end again"
        assert (attempts[1].resumes is None) is fresh
        counted = cause in (RouteCause.CONTEXT, RouteCause.QUALITY)
        assert row.tries == (2 if counted else 1), "what the job can do nothing for uses up no attempt"
    assert not await engine.routes.moves(job)
    assert f"on {cause} it waits" in await explained(engine, job)
    assert any(isinstance(one, log.Requeued) and one.failure is failure for one in await events_of(engine, job))


async def _reroutes(engine: Engine, job: int, cause: RouteCause, failure: Failure, first: str, second: str) -> None:
    row, attempts = await ended(engine, job)
    assert (row.state, [str(one.target) for one in attempts]) == (State.SUCCEEDED, [first, second])
    (move,) = await engine.routes.moves(job)
    assert (move.was, move.to, move.cause, move.by) == (first, second, cause, "route r")
    assert move.attempt == attempts[0].id
    assert (move.until is not None) is (cause is RouteCause.LIMIT)
    (body,) = [one for one in await events_of(engine, job) if isinstance(one, log.Rerouted)]
    assert (body.was, body.cause, body.by) == (first, cause, "route r")
    assert f"on {cause} it is rerouted" in await explained(engine, job)
    detail = await engine.job(job)
    assert detail.moves == [move]


async def _asks(engine: Engine, job: int, cause: RouteCause, failure: Failure, first: str, second: str) -> None:
    card = await card_of(engine, job)
    assert (card.kind, card.options, card.job) == (CardKind.ROUTE, (second,), job)
    assert f"({cause})" in card.summary
    row = await engine.row(job)
    assert (row.state, row.held_by, row.waiting_on) == (State.READY, f"card {card.id}", card.id)
    text = await explained(engine, job)
    assert f"card {card.id} waits for you" in text
    assert f"on {cause} you are asked" in text
    await engine.inbox.answer(card.id, Reply(choice=Choice.REROUTE), "ann")
    row, attempts = await ended(engine, job)
    assert (row.state, str(attempts[-1].target), row.waiting_on) == (State.SUCCEEDED, second, None)
    (move,) = await engine.routes.moves(job)
    assert (move.cause, move.by) == (cause, "ann")
    kinds = [type(one) for one in await events_of(engine, job)]
    assert kinds.index(log.Asked) < kinds.index(log.Answered) < kinds.index(log.Rerouted)


async def _stops(engine: Engine, job: int, cause: RouteCause, failure: Failure, first: str, second: str) -> None:
    row, attempts = await ended(engine, job)
    assert (row.state, row.failure, len(attempts)) == (State.FAILED, failure, 1)
    assert f"route r stops on {cause}" in (row.reason or "")
    assert f"route r stops on {cause}" in await explained(engine, job)
    (body,) = [one for one in await events_of(engine, job) if isinstance(one, log.Failed)]
    assert f"route r stops on {cause}" in body.reason
