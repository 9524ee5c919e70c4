"""Headway's tools in the hands of the real agents: what their models are offered, and what becomes of their calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine import events as log
from engine.config import Settings
from engine.decision import Choice, Reply
from engine.model import JobSpec, Permission, State, Wanted
from engine.server.agents import serving_agents
from engine.server.client import Client
from engine.serving import serving
from tests.conftest import Served, ended, run_git, settings_file
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import AGENTS, RealAgent, installed, settings
from tests.mcp.desk import OFFERED

#: How each of them calls a tool of a server: with a slash between what is apart in its API.
NAMES = {"claude": "mcp__headway__", "codex": "mcp__headway/", "opencode": "headway_", "gemini": "mcp_headway_"}
CLAUDE = NAMES["claude"]


def step(tool: str, **arguments: Any) -> Step:
    return Step(tool=(CLAUDE + tool, arguments))


def start(served: Served, server: ModelServer, repository: Path, tmp_path: Path, permission: str) -> None:
    """Serve a home whose claude talks to the model server."""
    served.env["ANTHROPIC_API_KEY"] = "sk-made-up"
    settings_file(
        served.home,
        f"""\
grace: 5
mcp: {{agents: [shell]}}
agents:
  claude:
    command: [{installed("claude")}]
    permission: {permission}
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {tmp_path / "claude-config"}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
projects: {{p: {{path: {repository}}}}}
gates: {{g: {{checks: [test -e x.txt]}}}}
""",
    )
    served.start()


def told(server: ModelServer) -> list[str]:
    """What the model was told of its calls, in their order."""
    messages = server.requests[-1]["messages"]
    parts = [part for one in messages if isinstance(one["content"], list) for part in one["content"]]
    return [json.dumps(part["content"]) for part in parts if part.get("type") == "tool_result"]


async def test_the_real_claude_uses_every_tool_and_is_asked_for_none(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    steps = [
        step("report_progress", message="half of it", percent=50),
        step("remember", text="The tests need TZ=UTC."),
        step("recall", query="what do the tests need"),
        step("submit_job", prompt="echo made by a child", agent="shell"),
        step("job_status", job=3, wait_seconds=60),
        # What a file said it should do: another's job, in the words of an operator.
        step("job_status", job=1),
        step("hand_off", state="all but the question", next=["ask"]),
        step("ask_operator", question="Ship it?", options=["yes", "no"]),
        step("claim_done", summary="I wrote x.txt."),
        Step("I forgot.", write=(str(served.home / "worktrees" / "2-do-it" / "x.txt"), "x\n")),
        step("claim_done", summary="I wrote x.txt."),
        Step("Done."),
    ]
    async with model_server(steps) as server:
        start(served, server, repository, tmp_path, "preset")
        async with Client(served.home) as client:
            (other,) = await client.submit([JobSpec(prompt="echo THE-SECRET", agent="shell")])
            await served.until_ended([other])
            (job,) = await client.submit([JobSpec(prompt="do it", agent="claude", project="p", gate="g")])
            await served.until(lambda event: event.job == job and isinstance(event.body, log.Asked | log.Failed))
            (card,) = await client.inbox()
            assert (card.tool, card.summary, card.options) == ("ask_operator", "Ship it?", ("yes", "no"))
            shown = served.headway("show", str(job)).stdout
            assert "50% half of it" in shown and "J3" in shown, shown
            await client.reply(card.id, Reply(choice=Choice.ANSWER, reason="yes"))
            await served.until_ended([job])
            detail = await client.job(job)
            cards = await client.inbox(10)
    assert (detail.job.state, len(detail.attempts), detail.children) == (State.SUCCEEDED, 1, [3])
    assert [one.id for one in cards] == [card.id], "none of the tools had to be allowed"
    offered = {one["name"] for one in server.requests[0]["tools"]}
    assert {CLAUDE + tool for tool in (*OFFERED, "claim_done")} <= offered
    answers = told(server)
    assert "TZ=UTC" in answers[2] and "J3 is submitted" in answers[3]
    assert "made by a child" in answers[4]
    assert "there is no job 1 among yours" in answers[5] and "THE-SECRET" not in json.dumps(server.requests)
    assert "The operator answers: yes" in answers[7]
    assert "It is not done" in answers[8] and "test -e x.txt" in answers[8]
    assert "Nothing was found wrong" in answers[10]


async def test_a_question_outlives_the_engine_and_its_answer_arrives(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    async with model_server([step("ask_operator", question="Which?"), Step("Done.")]) as server:
        start(served, server, repository, tmp_path, "ask")
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="do it", agent="claude", project="p")])
            await served.until(lambda event: event.job == job and isinstance(event.body, log.Asked | log.Failed))
            (card,) = await client.inbox()
            pid = (await client.job(job)).attempts[0].pid
        served.kill()
        assert Path(f"/proc/{pid}").exists(), "the agent waits on"
        served.start()
        async with Client(served.home) as client:
            assert await client.inbox() == [card], "the same card, and no other"
            await client.reply(card.id, Reply(choice=Choice.ANSWER, reason="the second one"))
            await served.until_ended([job])
            detail = await client.job(job)
            assert len(await client.inbox(10)) == 1
    assert (detail.job.state, len(detail.attempts)) == (State.SUCCEEDED, 1)
    assert "The operator answers: the second one" in told(server)[0]


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
async def test_each_agent_is_offered_the_tools_and_calls_one(agent: RealAgent, home: Path, repository: Path) -> None:
    installed(agent.name)
    if agent.name == "codex":  # it keeps the tools of servers back until its model looks for them
        steps = [Step("I look.", tool=("tool_search", {"query": "headway report progress"}))]
    else:
        steps = []
    steps += [Step("I report.", tool=(NAMES[agent.name] + "report_progress", {"message": "begun"})), Step("Done.")]
    async with model_server(steps) as server:
        own = {agent.name: settings(agent, server.url)}
        async with serving(home, Settings(grace=3.0, agents=own)) as engine, serving_agents(engine):
            spec = JobSpec(prompt="do it", agent=agent.name, model=agent.model, project=str(repository))
            (job,) = (await engine.submit(Wanted([spec]))).ids
            await ended(engine, [job])
            detail = await engine.job(job)
            events = [event.body for event in await engine.store.read.events(0, 1_000, job)]
    assert detail.job.state is State.SUCCEEDED, detail.job.reason
    assert log.Reported("begun") in events
    assert [body.tool for body in events if isinstance(body, log.ToolCalled)] == ["report_progress"]
    assert not [body for body in events if isinstance(body, log.Asked)]
    seen = json.dumps(server.requests)
    assert all(tool in seen for tool in OFFERED if tool not in ("recall", "remember") or agent.name != "codex")
    assert "Headway runs this job" in seen, "what the tools are for"
    assert run_git(repository, "status", "--porcelain") == ""
    assert not (home / "worktrees" / "1-do-it" / ".gemini").exists()
    assert "headway" not in (repository / ".git" / "info" / "exclude").read_text()


@pytest.mark.parametrize(
    ("program", "tool", "arguments"),
    [
        ("gemini", NAMES["gemini"], ["--acp", "-m", "gemini-2.5-pro"]),
        ("opencode", NAMES["opencode"], ["acp"]),
    ],
    ids=["gemini", "opencode"],
)
async def test_an_acp_agent_is_not_asked_for_the_tools_either(
    home: Path, repository: Path, program: str, tool: str, arguments: list[str]
) -> None:
    real = next(one for one in AGENTS if one.name == program)
    command = [str(installed(program)), *arguments]
    steps = [Step("I report.", tool=(tool + "report_progress", {"message": "begun"})), Step("Done.")]
    async with model_server(steps) as server:
        own = replace(settings(real, server.url, shell=False), command=command)
        # It is not waited for: what it started for its tools would keep it alive.
        own = replace(own, permission=Permission.ASK, linger=86_400.0)
        async with serving(home, Settings(grace=3.0, agents={"acp": own})) as engine, serving_agents(engine):
            spec = JobSpec(prompt="do it", agent="acp", project=str(repository))
            (job,) = (await engine.submit(Wanted([spec]))).ids
            await ended(engine, [job])
            detail = await engine.job(job)
            events = [event.body for event in await engine.store.read.events(0, 1_000, job)]
    assert detail.job.state is State.SUCCEEDED, detail.job.reason
    assert log.Reported("begun") in events
    assert not [body for body in events if isinstance(body, log.Asked)]
