"""Routes on a running engine: every cause with every policy, what is recorded, and what the next agent is told."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import events as log
from engine.config import AccountSettings, ProjectSettings, RouteSettings, Settings
from engine.config.routes import CardSettings
from engine.decision import Card, CardKind, Choice, Reply
from engine.engine import Engine
from engine.errors import EntryError
from engine.model import Cause, Failure, JobSpec, Order, State, Verb, Wanted
from engine.model.route import RouteCause, RoutePolicy
from engine.runner.run_dir import run_dir
from engine.serving import serving
from engine.store import windows
from engine.store.fold import rebuild
from engine.window import Reading, Standing
from tests.runner.gitting import Bench
from tests.runner.living import ended, rehearsal, settled, submit, until
from tests.store.samples import table

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
    """Retries do not wait."""
    monkeypatch.setattr(random, "random", lambda: 0.0)


def settings(targets: list[str], **said: Any) -> Settings:
    """One route, `r`, which jobs have to name, over an account of its own for each target but the first."""
    accounts = {f"a{n}": AccountSettings(agent="rehearsal") for n in range(1, len(targets))}
    named = [f"{one}@a{n}" if n else one for n, one in enumerate(targets)]
    route = msgspec.convert({"targets": named, **said}, RouteSettings)
    return Settings(max_running=4, grace=1.0, accounts=accounts, routes={"r": route})


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
        told, kept = await engine.store.look(lambda tx: (rebuild(tx.connection), table(tx.connection)))
        assert told == kept, "the log tells all of it"


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


# Before the start


def limits(engine: Engine, paid_by: str, resets_at: int, window: str = "five_hour") -> Any:
    told = Reading(
        window=window,
        standing=Standing.CLOSED,
        at=engine.started_at,
        source="test",
        used=1.0,
        resets_at=resets_at,
        model=window.removeprefix("seven_day_") if window.startswith("seven_day_") else "",
    )
    return engine.store.write(lambda tx: windows.record(tx, paid_by, [told], 0.0))


async def test_a_job_whose_target_is_closed_moves_before_it_starts(home: Path, tmp_path: Path) -> None:
    good = f"rehearsal:{rehearsal(tmp_path, DONE)}"
    async with serving(home, settings([good, good], limit="reroute")) as engine:
        first, second = engine.routes.book.routes["r"].targets
        await limits(engine, first.paid_by, engine.started_at + LATER * 1000)
        (job,) = await submit(engine, routed())
        row, attempts = await ended(engine, job)
        assert (row.state, [one.target for one in attempts]) == (State.SUCCEEDED, [second])
        (move,) = await engine.routes.moves(job)
        assert (move.attempt, move.cause, move.until) == (None, RouteCause.LIMIT, engine.started_at + LATER * 1000)
        assert "five_hour window" in move.reason


async def test_a_job_that_nothing_tells_to_move_waits_for_its_target(home: Path, tmp_path: Path) -> None:
    good = f"rehearsal:{rehearsal(tmp_path, DONE)}"
    async with serving(home, settings([good, good], overload="reroute")) as engine:
        first, _ = engine.routes.book.routes["r"].targets
        await engine.act(Order(verb=Verb.HOLD, scope=f"account:{first.paid_by}"), "ann")
        (job,) = await submit(engine, routed())
        await limits(engine, first.paid_by, engine.started_at + LATER * 1000)
        await engine.act(Order(verb=Verb.PRIORITY, jobs=[job], priority=1), "ann")
        row = await engine.row(job)
        assert (row.state, row.target, await engine.routes.moves(job)) == (State.READY, first, [])


async def test_a_job_that_waits_for_a_limit_moves_once_another_target_opens(home: Path, tmp_path: Path) -> None:
    bad = f"rehearsal:{rehearsal(tmp_path, ENDS[RouteCause.LIMIT][0])}"
    good = f"rehearsal:{rehearsal(tmp_path, DONE)}"
    async with serving(home, settings([bad, good], limit="reroute")) as engine:
        first, second = engine.routes.book.routes["r"].targets
        await engine.act(Order(verb=Verb.HOLD, scope=f"account:{second.paid_by}"), "ann")
        (job,) = await submit(engine, routed())
        row, _ = await settled(engine, job)
        assert (row.state, row.target) == (State.READY, first)
        assert row.not_before is not None
        await engine.act(Order(verb=Verb.RELEASE, scope=f"account:{second.paid_by}"), "ann")
        row, attempts = await ended(engine, job)
        assert (row.state, [one.target for one in attempts]) == (State.SUCCEEDED, [first, second])


# What keeps a route from moving


async def test_a_limit_that_ends_within_the_patience_of_the_route_is_waited_for(home: Path, tmp_path: Path) -> None:
    bad = f"rehearsal:{rehearsal(tmp_path, [{'do': 'fail', 'kind': 'usage_limit', 'resets_in': 600}])}"
    good = f"rehearsal:{rehearsal(tmp_path, DONE)}"
    async with serving(home, settings([bad, good], limit="reroute", patience="20m")) as engine:
        (job,) = await submit(engine, routed())
        row, tried = await settled(engine, job)
        assert (row.state, row.target, await engine.routes.moves(job)) == (State.READY, tried.target, [])
        assert row.not_before is not None
        assert 0 < row.not_before - (tried.ended_at or 0) <= 601_000


def priced(dear: int | None, most: float, targets: list[str]) -> Settings:
    """A route with a bound on added cost; what the second target costs is configured, or known to nobody."""
    said: list[Any] = [{"target": targets[0], "cost": 1.0}, {"target": f"{targets[1]}@a1"}]
    if dear is not None:
        said[1]["cost"] = float(dear)
    route = msgspec.convert({"targets": said, "limit": "reroute", "max_added_cost": most}, RouteSettings)
    return Settings(grace=1.0, accounts={"a1": AccountSettings(agent="rehearsal")}, routes={"r": route})


@pytest.mark.parametrize(("dear", "moves"), [(3, True), (4, False)])
async def test_a_move_that_would_add_too_much_is_not_made(home: Path, tmp_path: Path, dear: int, moves: bool) -> None:
    targets = [f"rehearsal:{rehearsal(tmp_path, one)}" for one in (ENDS[RouteCause.LIMIT][0], DONE)]
    async with serving(home, priced(dear, 2.0, targets)) as engine:
        (job,) = await submit(engine, routed())
        await settled(engine, job)
        found = await engine.routes.moves(job)
        assert [one.added for one in found] == ([2_000_000] if moves else [])
        if not moves:
            foreseen = {one.cause: one.what for one in (await engine.routes.of_job(job)).foreseen}
            assert "may add $2.00" in foreseen[RouteCause.LIMIT]


async def test_where_nobody_knows_what_a_move_adds_and_it_is_bounded_the_operator_is_asked(
    home: Path, tmp_path: Path
) -> None:
    targets = [f"rehearsal:{rehearsal(tmp_path, one)}" for one in (ENDS[RouteCause.LIMIT][0], DONE)]
    async with serving(home, priced(None, 2.0, targets)) as engine:
        (job,) = await submit(engine, routed())
        card = await card_of(engine, job)
        assert "nobody knows" in card.why
        await engine.inbox.answer(card.id, Reply(choice=Choice.REROUTE, reason="1"), "ann")
        assert (await ended(engine, job))[0].state is State.SUCCEEDED


async def test_what_the_operator_has_sent_outside_of_the_route_stays_there(home: Path, tmp_path: Path) -> None:
    bad, good = (f"rehearsal:{rehearsal(tmp_path, one)}" for one in (ENDS[RouteCause.OVERLOAD][0], DONE))
    own = Settings(
        grace=1.0,
        accounts={"mine": AccountSettings(agent="rehearsal")},
        routes={"r": RouteSettings(targets=[good], overload=RoutePolicy.STOP)},
    )
    async with serving(home, own) as engine:
        await engine.act(Order(verb=Verb.HOLD, scope="all"), "ann")
        (job,) = await submit(engine, routed())
        await engine.act(Order(verb=Verb.REROUTE, jobs=[job], to=f"{bad}@mine"), "ann")
        await engine.act(Order(verb=Verb.RELEASE, scope="all"), "ann")
        row, _ = await settled(engine, job)
        assert row.state is not State.FAILED, "the route says stop, and the job is not on it any more"
        assert "no target of its route" in await explained(engine, job)


# Cards


@pytest.fixture
def asking(tmp_path: Path) -> Settings:
    bad, good = (f"rehearsal:{rehearsal(tmp_path, one)}" for one in (ENDS[RouteCause.AUTH][0], DONE))
    return settings([bad, good], auth="ask")


async def test_wait_and_stop_answer_a_card_and_an_answer_can_be_taken_back(home: Path, asking: Settings) -> None:
    async with serving(home, asking) as engine:
        waits, stops = await submit(engine, routed(), routed())
        card = await card_of(engine, stops)
        dry = await engine.inbox.answer(card.id, Reply(choice=Choice.STOP, dry_run=True), "ann")
        assert (dry.card.choice, (await engine.row(stops)).state) == (Choice.STOP, State.READY)
        await engine.inbox.answer(card.id, Reply(choice=Choice.STOP), "ann")
        row = await engine.row(stops)
        assert (row.state, row.failure) == (State.FAILED, Failure.AUTH)
        assert "stopped by ann" in (row.reason or "")
        undone = await engine.undo(None, "ann", dry_run=False)
        assert (undone.restored, undone.said) == ([stops], f"card {card.id} waits for you again")
        assert (await engine.row(stops)).state is State.READY
        await engine.inbox.answer(card.id, Reply(choice=Choice.STOP), "ann")
        assert (await engine.row(stops)).state is State.FAILED
        other = await card_of(engine, waits)
        await engine.inbox.answer(other.id, Reply(choice=Choice.WAIT), "ann")
        await settled(engine, waits, 2)
        assert not await engine.routes.moves(waits)


async def test_a_card_is_withdrawn_when_its_job_goes_another_way(home: Path, asking: Settings) -> None:
    async with serving(home, asking) as engine:
        (job,) = await submit(engine, routed())
        card = await card_of(engine, job)
        await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "ann")

        async def closed() -> bool:
            return not (await engine.inbox.card(card.id)).open

        await until(engine, closed)
        assert (await engine.inbox.card(card.id)).choice is Choice.WITHDRAWN
        assert (await engine.row(job)).waiting_on is None


async def test_a_reroute_answers_the_card_of_its_job(home: Path, asking: Settings) -> None:
    async with serving(home, asking) as engine:
        (job,) = await submit(engine, routed())
        card = await card_of(engine, job)
        await engine.act(Order(verb=Verb.REROUTE, jobs=[job], to=card.options[0]), "ann")
        row, _ = await ended(engine, job)
        assert row.state is State.SUCCEEDED
        done = await engine.inbox.card(card.id)
        assert (done.choice, done.by, done.reason) == (Choice.REROUTE, "ann", card.options[0])


async def test_a_card_of_a_route_that_is_gone_is_still_answered_by_its_time(
    home: Path, asking: Settings, tmp_path: Path
) -> None:
    route = msgspec.structs.replace(asking.routes["r"], card=CardSettings(timeout="1s"))
    async with serving(home, msgspec.structs.replace(asking, routes={"r": route})) as engine:
        (job,) = await submit(engine, routed())
        card = await card_of(engine, job)
    async with serving(home, msgspec.structs.replace(asking, routes={})) as engine:

        async def closed() -> bool:
            return not (await engine.inbox.card(card.id)).open

        await until(engine, closed)
        assert (await engine.inbox.card(card.id)).choice is Choice.WAIT
        assert "not in headway.yaml any more" in await explained(engine, job)


async def test_a_card_that_nobody_answers_takes_its_default(home: Path, tmp_path: Path) -> None:
    bad, good = (f"rehearsal:{rehearsal(tmp_path, one)}" for one in (ENDS[RouteCause.AUTH][0], DONE))
    said: Any = {"auth": "ask", "card": {"timeout": "50ms", "default": "reroute"}}
    route = msgspec.convert({"targets": [bad, f"{good}@a1"], **said}, RouteSettings)
    own = Settings(grace=1.0, accounts={"a1": AccountSettings(agent="rehearsal")}, routes={"r": route})
    async with serving(home, own) as engine:
        (job,) = await submit(engine, routed())
        row, attempts = await ended(engine, job)
        assert (row.state, len(attempts)) == (State.SUCCEEDED, 2)
        (move,) = await engine.routes.moves(job)
        assert move.by == "time-out"


# Private projects


async def test_a_private_job_goes_nowhere_else_by_no_way(home: Path, bench: Bench, tmp_path: Path) -> None:
    good = f"rehearsal:{rehearsal(tmp_path, DONE)}"
    own = Settings(
        projects={"secret": ProjectSettings(path=str(bench.project), private=True, providers=["anthropic"])},
        routes={"r": RouteSettings(targets=["codex:gpt", "claude:opus", good])},
    )
    async with serving(home, own) as engine:
        await engine.act(Order(verb=Verb.HOLD, scope="all"), "ann")
        with pytest.raises(EntryError, match="codex is openai's, and the project secret is private"):
            await submit(engine, JobSpec(prompt="x", agent="codex", project="secret"))
        (job,) = await submit(engine, JobSpec(prompt="x", route="r", project="secret"))
        assert str((await engine.row(job)).target) == "claude:opus", "the first that it may go to"
        result = await engine.act(Order(verb=Verb.REROUTE, jobs=[job], to="codex:gpt"), "ann")
        assert result.done == []
        assert "its jobs stay with anthropic" in next(iter(result.skipped))
        result = await engine.act(Order(verb=Verb.REROUTE, jobs=[job], to_next=True), "ann")
        assert (result.done, str((await engine.row(job)).target)) == ([job], good)
        standings = {one.target: one.lacks for one in (await engine.routes.of_job(job)).targets}
        assert "private" in standings["codex:gpt"]
    # What was accepted before the project was private does not start there.
    async with serving(tmp_path / "other", Settings()) as engine:
        await engine.act(Order(verb=Verb.HOLD, scope="all"), "ann")
        (job,) = await submit(engine, JobSpec(prompt="x", agent="codex", project=str(bench.project)))
    async with serving(tmp_path / "other", own) as engine:
        await engine.act(Order(verb=Verb.RELEASE, scope="all"), "ann")
        causes = {one.cause for one in (await engine.explain(job)).waiting}
        assert causes == {Cause.PRIVATE}
        assert (await engine.row(job)).state is State.READY


# The hand-off


async def test_a_move_to_another_agent_takes_the_workspace_along_and_hands_over(
    home: Path, bench: Bench, tmp_path: Path
) -> None:
    first: Steps = [
        {"do": "say", "text": "I will mend a.txt"},
        {"do": "write", "path": "a.txt", "text": "mended\n"},
        {"do": "run", "command": "echo broken; exit 3", "about": "test"},
        {"do": "fail", "kind": "usage_limit", "resets_in": LATER},
    ]
    claude, codex = rehearsal(tmp_path, first), rehearsal(tmp_path, DONE)
    own = settings([f"rehearsal:claude/{claude}", f"rehearsal:codex/{codex}"], limit="reroute")
    async with serving(home, own) as engine:
        (job,) = await submit(engine, routed(project=str(bench.project)))
        row, attempts = await ended(engine, job)
        assert row.state is State.SUCCEEDED
        assert attempts[1].workspace == attempts[0].workspace
        assert attempts[1].resumes is None
        prompt = (run_dir(engine.home, job, 2).path / "prompt").read_text()
    for part in ("# Hand-off", "## Why a new session", "because of limit", "I will mend a.txt", "+mended", "mend it"):
        assert part in prompt
    assert "echo broken" in prompt.partition("## What failed and is open")[2]


# What is foreseen


async def test_a_preview_shows_the_target_that_the_dispatcher_would_choose(home: Path, tmp_path: Path) -> None:
    good = f"rehearsal:{rehearsal(tmp_path, DONE)}"
    async with serving(home, settings([good, good], limit="reroute")) as engine:
        first, second = engine.routes.book.routes["r"].targets
        await limits(engine, first.paid_by, engine.started_at + LATER * 1000)
        answer = await engine.submit(Wanted([routed()], dry_run=True))
        assert answer.preview is not None
        (shift,) = answer.preview.shifts
        assert shift.after is not None
        assert shift.after.target == str(second)
        await engine.act(Order(verb=Verb.HOLD, scope="all"), "ann")
        (job,) = await submit(engine, routed())
        await engine.act(Order(verb=Verb.HOLD, jobs=[job]), "ann")
        would = await engine.act(Order(verb=Verb.RELEASE, jobs=[job], dry_run=True), "ann")
        assert would.preview is not None
        after = would.preview.shifts[0].after
        assert (await engine.row(job)).target == first, "nothing was done, and what is held does not move"
        await engine.act(Order(verb=Verb.RELEASE, jobs=[job]), "ann")
        await engine.act(Order(verb=Verb.RELEASE, scope="all"), "ann")
        row, _ = await ended(engine, job)
        assert after is not None
        assert after.target == str(row.target) == str(second)
