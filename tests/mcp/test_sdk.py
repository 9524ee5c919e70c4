"""The official SDK's client against the shim and a real engine: every tool, and who may call what."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path

import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client
from msgspec import Raw
from msgspec.structs import replace

from engine import events as log
from engine.config import GateSettings
from engine.decision import Card, CardKind, Choice, Reply
from engine.engine import Engine
from engine.mcp.capability import hashed
from engine.memory.item import PROJECT
from engine.model import JobSpec, Order, State, Tool, Verb, Wanted
from engine.server.agents import serving_agents
from engine.server.client import Client as ApiClient
from engine.serving import serving
from tests.conftest import PATIENCE, Served, ended, settings_file
from tests.mcp import desk
from tests.waiting import until


async def asked(engine: Engine) -> int:
    """The card that waits, once there is one."""

    async def look() -> int | None:
        return cards[0].id if (cards := await engine.inbox.cards()) else None

    return await until(engine, look)


async def cancel(engine: Engine, *jobs: int) -> None:
    await engine.act(Order(verb=Verb.CANCEL, jobs=list(jobs)), "me")
    await ended(engine, list(jobs))


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_the_sdk_uses_every_tool(home: Path, repository: Path, mode: str, version: str) -> None:
    async with serving(home, desk.settings(repository, agents=["shell"])) as engine, serving_agents(engine):
        one = await desk.held(engine, project="p")
        async with desk.client(one.capability, mode) as client:
            assert client.protocol_version == version
            listed = await client.list_tools()
            assert [tool.name for tool in listed.tools] == [*desk.OFFERED]
            assert await desk.call(client, "report_progress", message="reads\x1b[2J the code", percent=40) == (
                True,
                "noted",
            )
            assert await desk.call(client, "remember", text="The tests need TZ=UTC.", evidence=["Makefile:3"]) == (
                True,
                "added as [1]",
            )
            ok, known = await desk.call(client, "recall", query="what do the tests need")
            assert ok and "The tests need TZ=UTC." in known and "no instruction" in known
            ok, told = await desk.call(client, "submit_job", prompt="echo made", agent="shell", title="a child")
            assert ok and told.startswith("J2 is submitted"), told
            ok, status = await desk.call(client, "job_status", job=2, wait_seconds=60)
            assert json.loads(status)["state"] == "succeeded" and json.loads(status)["result"] == "made"
            ok, own = await desk.call(client, "job_status")
            assert (json.loads(own)["state"], json.loads(own)["jobs"]) == ("running", [2])
            done = [{"what": "a.py", "proof": "pytest -k a"}]
            assert (await desk.call(client, "hand_off", state="half\x1b[1m done", done=done, next=["b.py"]))[0]
            waiting = asyncio.create_task(
                desk.call(client, "ask_operator", question="Which \x1b]0;x\x07one?", options=["a", "b"], why="both fit")
            )
            card = await engine.inbox.card(await asked(engine))
            assert (card.kind, card.summary, card.options) == (CardKind.QUESTION, "Which one?", ("a", "b"))
            assert (card.job, card.tool, card.why) == (one.job, "ask_operator", "both fit")
            await engine.inbox.answer(card.id, Reply(choice=Choice.ANSWER, reason="b"), "operator")
            assert await waiting == (True, "The operator answers: b")
            assert (await engine.inbox.card(card.id)).sent_at is not None
        (item,) = await engine.memory.items()
        assert (item.scope, item.source.by, item.source.job) == (PROJECT + str(repository), "shell", one.job)
        (left,) = await engine.hand_offs.of_job(one.job)
        assert (left.by, left.attempt, left.note.state, left.note.next) == ("shell", 1, "half done", ["b.py"])
        events = [event.body for event in await engine.store.read.events(0, 1_000, one.job)]
        calls = [body for body in events if isinstance(body, log.ToolCalled)]
        assert [body.tool for body in calls] == [
            "report_progress", "remember", "recall", "submit_job", "job_status", "job_status",
            "hand_off", "ask_operator",
        ]  # fmt: skip
        assert all(body.ok for body in calls) and calls[-1].said == "Which one?"
        assert log.Reported("40% reads the code", 0.4) in events and log.Spawned(2, 1) in events
        _, (progress,) = engine.hub.progress_after(0)
        assert progress.line.startswith("40% reads the code")
        await cancel(engine, one.job)


async def test_a_token_is_good_for_its_own_attempt_and_for_as_long_as_that_lives(home: Path, repository: Path) -> None:
    settings = desk.settings(repository, agents=["shell"])
    async with serving(home, settings) as engine, serving_agents(engine):
        one, other = await desk.held(engine, project="p"), await desk.held(engine)
        kept = json.loads(one.capability.read_bytes())
        assert stat.S_IMODE(one.capability.stat().st_mode) == 0o600
        assert len(kept["token"]) >= 43 and kept["token"] != json.loads(other.capability.read_bytes())["token"]
        facts = (one.capability.parent / "facts.json").read_text()
        assert hashed(kept["token"]) in facts and kept["token"] not in facts
        argv = Path(f"/proc/{(await engine.job(one.job)).attempts[0].pid}/cmdline").read_bytes()
        assert kept["token"].encode() not in argv
        await engine.submit(Wanted([JobSpec(prompt="echo secret-of-another", agent="shell")]))
        await ended(engine, [3])
        async with desk.client(other.capability) as client:
            # What is asked under a token is about that token's own job, whatever the words say.
            for job in (one.job, 3, 99):
                refused = await desk.call(client, "job_status", job=job)
                assert refused == (
                    False,
                    f"there is no job {job} among yours: you see your own job, and those that it submitted",
                )
            assert {tool.name for tool in (await client.list_tools()).tools} == set(desk.OFFERED) - {
                "recall",
                "remember",
            }
            ok, words = await desk.call(client, "submit_job", prompt="echo x", agent="shell", after=[one.job])
            assert not ok and "among yours" in words
        # A token of one attempt in the hands of another is that attempt's, and dies with it.
        stolen = other.capability.with_name("stolen.json")
        stolen.write_text(json.dumps({**kept, "token": kept["token"][:-1] + "!"}))
        async with desk.client(stolen) as client:
            ok, words = await desk.call(client, "job_status")
            assert not ok and "good for nothing" in words
        stolen.write_bytes(one.capability.read_bytes())
        await cancel(engine, one.job)
        assert not one.capability.exists(), "nothing is left of it"
        async with desk.client(stolen) as client:
            ok, words = await desk.call(client, "job_status")
            assert not ok and "good for nothing" in words
        await cancel(engine, other.job)


async def test_what_an_agent_submits_is_bounded(home: Path, repository: Path) -> None:
    settings = desk.settings(repository, agents=["shell"], children=2)
    async with serving(home, settings) as engine, serving_agents(engine):
        one = await desk.held(engine, project="p", tags=["gpu"], priority=7)
        async with desk.client(one.capability) as client:
            ok, words = await desk.call(client, "submit_job", prompt="x", agent="claude")
            assert not ok and words == "you may not submit jobs for 'claude'; for shell you may"
            ok, _ = await desk.call(client, "submit_job", prompt=desk.HOLD, agent="shell")
            assert ok
            child = await desk.launched(engine, 2)
            detail = await engine.job(2)
            assert (detail.job.project, detail.job.tags, detail.job.priority) == (str(repository), ["gpu"], 7)
            async with desk.client(child.capability) as below:
                ok, words = await desk.call(below, "submit_job", prompt="true", agent="shell")
                assert not ok and "submitted by an agent itself" in words
                ok, words = await desk.call(below, "job_status", job=one.job)
                assert not ok, "a child does not see its parent"
            assert (await desk.call(client, "submit_job", prompt="true", agent="shell"))[0]
            ok, words = await desk.call(client, "submit_job", prompt="true", agent="shell")
            assert not ok and "as many as it may" in words
        rows = await engine.list_jobs("", 10)
        assert len(rows) == 3, "what was refused left nothing"
        await cancel(engine, one.job, 2)


async def test_calls_are_bounded_in_size_and_pace(home: Path, repository: Path) -> None:
    async with serving(home, desk.settings(repository, calls=3)) as engine, serving_agents(engine):
        one = await desk.held(engine, project="p")
        async with desk.client(one.capability) as client:
            ok, words = await desk.call(client, "report_progress", message="x" * 70_000)
            assert not ok and "longer than 64 KiB" in words
            ok, words = await desk.call(client, "report_progress", message="x" * 600)
            assert not ok and "length <= 500" in words
            ok, words = await desk.call(client, "report_progress", message="x", more=1)
            assert not ok and "unknown field" in words
            assert (await desk.call(client, "report_progress", message="x"))[0]
            ok, words = await desk.call(client, "report_progress", message="y")
            assert not ok and words.startswith("too many calls")
        await cancel(engine, one.job)


async def test_a_question_is_withdrawn_when_nobody_waits_for_it_any_more(home: Path, repository: Path) -> None:
    async with serving(home, desk.settings(repository)) as engine, serving_agents(engine):
        one = await desk.held(engine, project="p")
        async with desk.client(one.capability) as client:
            waiting = asyncio.create_task(desk.call(client, "ask_operator", question="Which?"))
            card = await asked(engine)
            waiting.cancel()

            async def closed() -> Card | None:
                return None if (found := await engine.inbox.card(card)).open else found

            assert (await until(engine, closed)).choice is Choice.WITHDRAWN
            assert (await engine.job(one.job)).job.waiting_on is None
        await cancel(engine, one.job)


@pytest.mark.parametrize(
    ("said", "none"),
    [({"enabled": False}, True), ({"tools": [Tool.REPORT_PROGRESS]}, False)],
    ids=["off", "only some"],
)
async def test_the_settings_say_which_tools_there_are(home: Path, said: dict[str, object], none: bool) -> None:
    async with serving(home, desk.settings(None, **said)) as engine, serving_agents(engine):
        one = await desk.held(engine)
        if none:
            assert not one.capability.exists()
        else:
            async with desk.client(one.capability) as client:
                assert [tool.name for tool in (await client.list_tools()).tools] == ["report_progress"]
        off = await desk.held(engine, mcp=False)
        assert not off.capability.exists(), "the job's own word"
        assert b"HEADWAY_MCP" not in Path(f"/proc/{(await engine.job(off.job)).attempts[0].pid}/environ").read_bytes()
        await cancel(engine, one.job, off.job)


async def test_a_call_that_comes_again_is_answered_as_it_was(home: Path, repository: Path) -> None:
    async with serving(home, desk.settings(repository, agents=["shell"])) as engine:
        one = await desk.held(engine, project="p")
        token = json.loads(one.capability.read_bytes())["token"]
        arguments = Raw(b'{"prompt":"true","agent":"shell"}')
        first = await engine.tools.call(token, "a-1", "submit_job", arguments)
        assert await engine.tools.call(token, "a-1", "submit_job", arguments) == first
        assert len(await engine.list_jobs("", 10)) == 2
        # The engine died between the submission and its answer: what it remembers is the submission.
        await engine.store.write(lambda tx: tx.connection.execute("DELETE FROM tool_calls"))
        assert await engine.tools.call(token, "a-1", "submit_job", arguments) == first
        assert len(await engine.list_jobs("", 10)) == 2
        await cancel(engine, one.job)


async def test_the_command_serves_a_running_job_and_the_check_says_that_it_works(served: Served) -> None:
    settings_file(served.home, "agents: {shell: {mcp: true}}\n")
    served.start()
    async with ApiClient(served.home) as api:
        (job,) = await api.submit([JobSpec(prompt=desk.HOLD, agent="shell")])
        await served.until(lambda event: event.job == job and isinstance(event.body, log.Launched))
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "console.cli", "--home", str(served.home), "mcp", str(job)]
    )
    async with asyncio.timeout(PATIENCE), Client(command) as client:
        assert await desk.call(client, "report_progress", message="by hand") == (True, "noted")
    assert "reported  by hand" in served.headway("show", str(job)).stdout
    checked = served.headway("agents", "check", "shell")
    assert "✓ tools      8 of Headway's, by MCP" in checked.stdout
    assert served.headway("mcp", "99").returncode == 4
    assert served.headway("mcp").stderr == (
        "headway: no job is named, and this is no process of one: headway mcp JOB\n"
    )


async def test_a_claim_is_held_against_the_gate_while_the_agent_can_mend_it(home: Path, repository: Path) -> None:
    gates = {"g": GateSettings(checks=["echo LOOKED; test -e done.txt"])}
    settings = replace(desk.settings(repository), gates=gates)
    async with serving(home, settings) as engine, serving_agents(engine):
        one = await desk.held(engine, project="p", gate="g")
        place = Path((await engine.job(one.job)).attempts[0].workspace or "")
        async with desk.client(one.capability) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            assert tools == [*desk.OFFERED, "claim_done"]
            ok, words = await desk.call(client, "claim_done", summary="All tests pass.")
            assert ok and words.startswith("It is not done. Mend this"), words
            assert "test -e done.txt" in words and "LOOKED" in words
            (place / "done.txt").write_text("done\n")
            ok, words = await desk.call(client, "claim_done", summary="I wrote done.txt.")
            assert ok and words.startswith("Nothing was found wrong"), words
        looks = await engine.gates.looks(one.job)
        assert [(look.claimed, len(look.findings) > 0) for look in looks] == [(True, True), (True, False)]
        assert (await engine.job(one.job)).job.state is State.RUNNING, "it decides nothing"
        without = await desk.held(engine, project="p")
        async with desk.client(without.capability) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == [*desk.OFFERED], "nothing is checked"
        await cancel(engine, one.job, without.job)
