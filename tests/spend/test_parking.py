"""An attempt over its budget is parked between two messages, asks, and goes on in its session after the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.budgets import Allow, Amount, Standing
from engine.config import AgentSettings, BudgetSettings, RouteSettings, Settings
from engine.decision import Card, CardKind, Choice, Reply
from engine.engine import Engine
from engine.errors import RefusedError, UsageError
from engine.model import Cause, Failure, JobSpec, State
from engine.runner.runner import Runner
from engine.serving import serving
from engine.spend.budgets import Means
from engine.store.claims import Claim
from tests.runner.living import ended, submit, until
from tests.spend.test_live import message, result, said

PROGRAM = """#!/usr/bin/python3
import os, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
if "--version" in sys.argv:
    print("2.1.330 (Claude Code)"); sys.exit()
with open(os.path.join(here, "argv"), "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
again = "--resume" in sys.argv
option = "--resume" if again else "--session-id"
session = sys.argv[sys.argv.index(option) + 1]
text = open(os.path.join(here, "again" if again else "first")).read()
sys.stdout.write(text.replace('"session_id": "s"', '"session_id": "' + session + '"')); sys.stdout.flush()
while not again and not os.path.exists(os.path.join(here, "go")):
    time.sleep(0.02)
"""
TOOL = said(
    "assistant",
    message={
        "id": "msg_1", "model": "claude-opus-5-5", "content": [{"type": "tool_use", "id": "t1", "name": "Bash"}],
        "usage": {"input_tokens": 1_000, "output_tokens": 1},
    },
)  # fmt: skip
TOOL_ENDS = said("user", message={"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]})
BEGINS = said("system", subtype="init", session_id="s", model="claude-opus-5-5", cwd="/", claude_code_version="2")


def claude(tmp_path: Path, first: str = message("msg_1", 1_000), **options: object) -> Settings:
    here = tmp_path / "program"
    here.mkdir()
    (here / "claude").write_text(PROGRAM)
    (here / "claude").chmod(0o755)
    (here / "first").write_text(BEGINS + first)
    (here / "again").write_text(BEGINS + message("msg_2", 500) + result(500, 10, 0.003))
    agents = {"claude": AgentSettings(command=[str(here / "claude")])}
    return replace(Settings(grace=1.0, agents=agents), **options)


async def card_of(engine: Engine) -> Card:
    """The one card that is open, once there is one."""
    await until(engine, lambda: _any(engine))
    (card,) = await engine.inbox.cards()
    return card


async def _any(engine: Engine) -> bool:
    return bool(await engine.inbox.cards())


async def parked(engine: Engine, job: int) -> None:
    async def holds() -> bool:
        row = await engine.row(job)
        return row.state is State.READY and row.held_by == "its budget"

    await until(engine, holds)


def job(**options: object) -> JobSpec:
    return JobSpec(prompt="do it", agent="claude", **options)  # type: ignore[arg-type]


async def test_a_job_over_its_budget_is_parked_and_goes_on_in_its_session_after_the_answer(
    home: Path, tmp_path: Path
) -> None:
    async with serving(home, claude(tmp_path)) as engine:
        (number,) = await submit(engine, job(budget="$0.004"))
        card = await card_of(engine)
        assert (card.kind, card.tool, card.choices[0]) == (CardKind.BUDGET, f"job:{number}", Choice.MORE)
        await parked(engine, number)
        row = await engine.row(number)
        assert (row.failure, row.waiting_on) == (Failure.BUDGET_EXCEEDED, card.id)
        assert row.tries == 0, "it used up no attempt"
        (reason, asked) = (await engine.explain(number)).waiting
        assert (reason.cause, asked.cause) == (Cause.BUDGET, Cause.BUDGET)
        assert "$0.00402 of $0.004 are spent" in asked.text
        (line,) = await engine.spend.budgets()
        assert (line.scope, line.spent_micros, line.standing) == (f"job:{number}", 4_020, Standing.USED_UP)
        with pytest.raises(UsageError, match="overspent by"):
            await engine.inbox.answer(card.id, Reply(choice=Choice.MORE, amount="$0.00001"), "me")
        await engine.inbox.answer(card.id, Reply(choice=Choice.MORE, amount="$1"), "me")
        row, attempts = await ended(engine, number)
        assert (row.state, row.cost_micros) == (State.SUCCEEDED, 7_020)
        assert [one.session for one in attempts] == [attempts[0].session] * 2
    _, again = (tmp_path / "program" / "argv").read_text().splitlines()
    assert f"--resume {attempts[0].session}" in again


async def test_a_tool_that_is_at_work_is_not_cut_short(home: Path, tmp_path: Path) -> None:
    """The next message has not been asked for yet: nothing is spent while the tool works."""
    settings = claude(tmp_path, TOOL)
    async with serving(home, settings) as engine:
        (number,) = await submit(engine, job(budget="$0.004"))
        await card_of(engine)
        assert (await engine.row(number)).state is State.RUNNING
        stdout = Path((await engine.job(number)).attempts[0].run_dir) / "stdout"
        with stdout.open("a") as file:
            file.write(TOOL_ENDS)
        await parked(engine, number)


async def test_an_answer_before_it_is_parked_lets_it_run_on(home: Path, tmp_path: Path) -> None:
    async with serving(home, claude(tmp_path, TOOL)) as engine:
        (number,) = await submit(engine, job(budget="$0.004"))
        card = await card_of(engine)
        await engine.inbox.answer(card.id, Reply(choice=Choice.UNCAPPED), "me")
        stdout = Path((await engine.job(number)).attempts[0].run_dir) / "stdout"
        with stdout.open("a") as file:
            file.write(TOOL_ENDS + result(1_000, 50, 0.02))
        (tmp_path / "program" / "go").touch()
        row, attempts = await ended(engine, number)
        assert (row.state, len(attempts)) == (State.SUCCEEDED, 1)


async def test_what_was_read_before_anybody_counted_is_counted(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that says all that it says at once, and then is at work in silence."""
    means = Runner._means

    async def late(self: Runner, claim: Claim) -> Means:
        if not self._around.follower.position(claim.attempt.id):
            await self._around.follower.grown(claim.attempt.id)
        return await means(self, claim)

    monkeypatch.setattr(Runner, "_means", late)
    async with serving(home, claude(tmp_path)) as engine:
        (number,) = await submit(engine, job(budget="1000 tokens"))
        await parked(engine, number)


@pytest.mark.parametrize("choice", ["stop", "cancel"])
async def test_a_job_that_ends_at_its_budget_leaves_no_card(home: Path, tmp_path: Path, choice: str) -> None:
    from engine.model import Order, Verb

    async with serving(home, claude(tmp_path)) as engine:
        (number,) = await submit(engine, job(budget="1000 tokens"))
        card = await card_of(engine)
        await parked(engine, number)
        if choice == "stop":
            await engine.inbox.answer(card.id, Reply(choice=Choice.STOP), "me")
            assert (await engine.row(number)).failure is Failure.BUDGET_EXCEEDED
        else:
            await engine.act(Order(verb=Verb.CANCEL, jobs=[number]), "me")
        row = await engine.row(number)
        assert (row.ended_at is not None, row.waiting_on) == (True, None)
        assert await engine.inbox.cards() == []
        with pytest.raises(RefusedError):
            await engine.inbox.answer(card.id, Reply(choice=Choice.MORE), "me")


async def test_a_shared_budget_keeps_others_from_starting_until_more_is_allowed(home: Path, tmp_path: Path) -> None:
    settings = claude(tmp_path, max_running=1, budgets={"kind:review": BudgetSettings(cap="$0.004")})
    async with serving(home, settings) as engine:
        first, second, other = await submit(
            engine, job(kind="review"), job(kind="review"), JobSpec(prompt="true", agent="shell")
        )
        card = await card_of(engine)
        assert card.tool == "kind:review"
        row, _ = await ended(engine, other)
        assert row.state is State.SUCCEEDED, "it is of no kind"
        rows = [await engine.row(number) for number in (first, second)]
        assert [(one.state, one.held_by) for one in rows] == [(State.READY, None)] * 2
        for number in (first, second):
            (reason,) = (await engine.explain(number)).waiting
            assert (reason.cause, reason.scope) == (Cause.BUDGET, "kind:review")
            assert f"`headway answer {card.id} more`" in reason.ends
        line = await engine.spend.allow(Allow(scope="kind:review", amount="$0.5"), "me")
        assert (line.cap, line.standing) == (Amount(micros=504_000), Standing.OPEN)
        (tmp_path / "program" / "go").touch()
        (tmp_path / "program" / "first").write_text(BEGINS + message("msg_3", 10) + result(10, 10, 0.001))
        for number in (first, second):
            assert (await ended(engine, number))[0].state is State.SUCCEEDED
        assert await engine.inbox.cards() == [], "the card was answered with it"


async def test_a_budget_of_a_route_lets_the_jobs_behind_its_own_start(home: Path, tmp_path: Path) -> None:
    """They wait in one lane: the same agent, project and priority."""
    routes = {"cheap": RouteSettings(targets=["claude"])}
    settings = claude(tmp_path, max_running=1, routes=routes, budgets={"route:cheap": BudgetSettings(cap="$0.004")})
    async with serving(home, settings) as engine:
        (first,) = await submit(engine, job(route="cheap"))
        card = await card_of(engine)
        assert card.tool == "route:cheap"
        (tmp_path / "program" / "first").write_text(BEGINS + message("msg_9", 10) + result(10, 10, 0.001))
        (tmp_path / "program" / "go").touch()
        second, other = await submit(engine, job(route="cheap"), job())
        row, _ = await ended(engine, other)
        assert row.state is State.SUCCEEDED
        for number in (first, second):
            assert (await engine.row(number)).state is State.READY
            assert Cause.BUDGET in [one.cause for one in (await engine.explain(number)).waiting]
        await engine.inbox.answer(card.id, Reply(choice=Choice.UNCAPPED), "me")
        for number in (first, second):
            assert (await ended(engine, number))[0].state is State.SUCCEEDED


async def test_what_was_allowed_can_be_taken_back(home: Path, tmp_path: Path) -> None:
    async with serving(home, claude(tmp_path)) as engine:
        (number,) = await submit(engine, job(budget="$0.004"))
        card = await card_of(engine)
        await parked(engine, number)
        await engine.act(_hold_all(), "me")
        await engine.inbox.answer(card.id, Reply(choice=Choice.MORE, amount="$5"), "me")
        assert (await engine.row(number)).held_by is None
        undone = await engine.undo(None, "me", dry_run=False)
        assert "has no more than before" in json.dumps(str(undone))
        assert (await engine.row(number)).held_by == "its budget"
        (line,) = await engine.spend.budgets()
        assert line.standing is Standing.USED_UP


def _hold_all():  # type: ignore[no-untyped-def]
    from engine.model import ALL, Order, Verb

    return Order(verb=Verb.HOLD, scope=ALL)
