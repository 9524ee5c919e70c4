"""A job that a limit moves from the real claude to the real codex in mid-work: what that one is told, and finds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from engine.config import RouteSettings, Settings
from engine.model import JobSpec, State
from engine.model.route import RouteCause, RoutePolicy
from engine.serving import serving
from tests.e2e.model_server import Step, model_server
from tests.e2e.real_agents import AGENTS, installed, settings
from tests.runner.living import ended, submit

CLAUDE, CODEX = AGENTS[0], AGENTS[1]


async def test_a_limit_moves_a_job_from_claude_to_codex_which_goes_on_from_the_hand_off(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for agent in (CLAUDE, CODEX):
        installed(agent.name)
    monkeypatch.setattr(random, "random", lambda: 0.0)
    tree = home / "worktrees" / "1-do-it"
    first = [
        Step("I will write the parser, then its tests.", write=(str(tree / "parser.txt"), "half a parser\n")),
        Step(limit=True),
    ]
    second = [
        Step("The parser is there; now its tests.", write=(str(tree / "tests.txt"), "tests\n")),
        Step("Finished what the other had begun."),
    ]
    async with model_server(first) as anthropic, model_server(second) as openai:
        anthropic.resets_in = 3_600
        route = RouteSettings(targets=["claude", "codex"], limit=RoutePolicy.REROUTE)
        agents = {"claude": settings(CLAUDE, anthropic.url), "codex": settings(CODEX, openai.url)}
        async with serving(home, Settings(grace=3.0, agents=agents, routes={"r": route})) as engine:
            spec = JobSpec(prompt="write a parser and its tests", title="Do it", route="r", project=str(repository))
            (job,) = await submit(engine, spec)
            row, attempts = await ended(engine, job)
            assert row.state is State.SUCCEEDED, attempts[-1].reason
            assert [one.agent for one in attempts] == ["claude", "codex"]
            assert attempts[1].workspace == attempts[0].workspace == str(tree)
            (move,) = await engine.routes.moves(job)
            assert (move.cause, move.until is not None) == (RouteCause.LIMIT, True)
            told = json.dumps(openai.requests[0])
    for part in (
        "# Hand-off", "because of limit", "I will write the parser, then its tests.", "parser.txt", "+half a parser",
        "write a parser and its tests",
    ):  # fmt: skip
        assert part in told, "the first request of the second agent"
    assert (tree / "parser.txt").read_text() == "half a parser\n"
    assert (tree / "tests.txt").read_text() == "tests\n"
