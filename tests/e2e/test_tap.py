"""The real agents by way of the tap: a refusal that they sit out in silence is seen while they wait."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from engine.agents import registry
from engine.config import AccountSettings, KeyReference, Settings, TapSettings
from engine.model import Failure, JobSpec, State
from engine.server.client import Client
from engine.serving import serving
from engine.window import Standing
from tests.conftest import Served, settings_file
from tests.e2e.model_server import Step, model_server
from tests.e2e.real_agents import AGENTS, RealAgent, installed, settings
from tests.runner.living import ended, settled, submit, until
from tests.tap.test_tapped import holding, until_told

KEY = "sk-planted-for-the-tap-0123456789"
PLANTED = "planted-words-of-the-model"
WAIT = 5.0  #: seconds that the provider says to wait


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RealAgent:
    real: RealAgent = request.param
    installed(real.name)
    monkeypatch.setenv("TAP_KEY", KEY)
    return real


def configured(agent: RealAgent, url: str) -> Settings:
    """The agent against a model server, by an account with a key and a tap. None of them has another key."""
    own = settings(agent, url)
    env, upstream, variable, folder = dict(own.env), None, None, None
    match agent.name:
        case "claude":
            del env["CLAUDE_CODE_OAUTH_TOKEN"]
        case "codex":  # its built-in provider, which no configuration file of ours names
            upstream, folder = f"{url}/v1", Path(env["HOME"]) / ".codex-tapped"
        case "opencode":
            env["OPENCODE_CONFIG_CONTENT"] = env["OPENCODE_CONFIG_CONTENT"].replace("made-up", "{env:TAPPED_KEY}")
            variable, folder = "TAPPED_KEY", Path(env["HOME"])
        case "gemini":
            del env["GEMINI_API_KEY"]
            folder = Path(env["HOME"])
    if folder is not None:
        folder.mkdir(exist_ok=True)
    account = AccountSettings(
        agent=agent.name,
        config_dir=str(folder) if folder is not None else None,
        key=KeyReference(env="TAP_KEY", variable=variable),
        tap=TapSettings(upstream=upstream) if upstream else True,
    )
    made = Settings(grace=2.0, agents={agent.name: replace(own, env=env)}, accounts={"work": account})
    assert not list(registry.complaints(made))
    return made


async def test_an_engine_that_dies_and_comes_back_is_waited_for(agent: RealAgent, home: Path, repository: Path) -> None:
    file = home / "worktrees" / "1-do-it" / "b.txt"
    steps = [
        Step("I begin.", write=(str(file), "two\n")),
        Step("This gets lost.", wait=asyncio.Event()),
        Step("Done."),
    ]
    async with model_server(steps) as server:
        settings_file(home, msgspec.json.encode(configured(agent, server.url)).decode())
        one = Served(home)
        one.start()
        try:
            async with Client(home) as client:
                (job,) = await client.submit([spec_for(agent, repository)])
                await asyncio.wait_for(server.met.wait(), 60)
            one.kill()
            assert steps[1].wait is not None
            steps[1].wait.set()
            one.start()
            await one.until_ended([job])
            async with Client(home) as client:
                detail = await client.job(job)
            assert (detail.job.state, len(detail.attempts)) == (State.SUCCEEDED, 1), detail.job.reason
        finally:
            one.stop()


def spec_for(agent: RealAgent, repository: Path) -> JobSpec:
    model = {"claude": None, "codex": "gpt-5.5", "opencode": "scripted/m"}.get(agent.name, agent.model)
    project = str(repository)
    return JobSpec(prompt="do it", title="Do it", agent=agent.name, model=model, account="work", project=project)


async def test_a_refusal_is_seen_while_the_agent_waits(agent: RealAgent, home: Path, repository: Path) -> None:
    file = home / "worktrees" / "1-do-it" / "b.txt"
    steps = [
        Step(status=429, retry_after=WAIT),
        Step(f"I will write it: {PLANTED}.", write=(str(file), "two\n")),
        Step(f"Done: {PLANTED}."),
    ]
    async with model_server(steps) as server, serving(home, configured(agent, server.url)) as engine:
        (job,) = await submit(engine, spec_for(agent, repository))
        line = await until_told(engine, "429 from 127.0.0.1, retry after ")
        (state,) = engine.tap.states()
        assert (state.refused, state.status) == (1, 429), line
        assert state.retry_at is not None and state.retry_at > time.time() * 1_000, "it waits still"

        async def closed() -> bool:
            seen = await engine.weather.windows()
            return any(one.standing is Standing.CLOSED and one.account == f"{agent.name}@work" for one in seen)

        await until(engine, closed)
        if agent.name == "gemini":  # it was told an hour, gives up at once, and says nothing of when
            row, attempt = await settled(engine, job)
            assert (attempt.failure, row.state) == (Failure.RATE_LIMITED, State.READY), attempt.reason
            assert row.not_before is not None and row.not_before >= state.retry_at
            return
        row, attempts = await ended(engine, job)
        assert (row.state, len(attempts)) == (State.SUCCEEDED, 1), row.reason
        assert file.read_text() == "two\n"
    assert all(KEY in (seen.get("authorization", ""), "")[0] + seen.get("x-api-key", "") for seen in server.headers)
    assert holding(home, KEY) == [], "the key was nowhere but with the engine"
    assert not [one for one in holding(home, PLANTED) if not one.startswith(("runs/", "headway.db"))]
