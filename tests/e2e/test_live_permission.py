"""The real Claude Code asks, and waits: its control protocol on a pipe that outlives the engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from engine import events as log
from engine.decision import Card, Choice, Reply
from engine.model import JobSpec, State
from engine.server.client import Client
from tests.cli.test_attach import Terminal
from tests.conftest import Served, settings_file
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import installed

TOUCH = Step("I will run it.", run="touch made")


def start(served: Served, server: ModelServer, tmp_path: Path, timeout: str = "30m") -> None:
    """Serve a home whose claude asks, and talks to the model server."""
    served.env["ANTHROPIC_API_KEY"] = "sk-made-up"
    settings_file(
        served.home,
        f"""\
grace: 5
permissions: {{timeout: {timeout}}}
agents:
  claude:
    command: [{installed("claude")}]
    permission: ask
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {tmp_path / "claude-config"}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
""",
    )
    served.start()


async def asked(served: Served, client: Client, repository: Path) -> tuple[int, Card]:
    """A job, once its agent waits for the operator; and what it asks."""
    (job,) = await client.submit([JobSpec(prompt="do it", agent="claude", project=str(repository))])
    await served.until(lambda event: event.job == job and isinstance(event.body, log.Asked | log.Failed))
    (card,) = await client.inbox()
    return job, card


def told(server: ModelServer) -> str:
    """What the model was told last."""
    return json.dumps(server.requests[-1]["messages"][-1])


async def test_a_tool_waits_for_the_answer_from_the_command_line_and_goes_on(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    async with model_server([TOUCH, Step("Done.")]) as server:
        start(served, server, tmp_path)
        async with Client(served.home) as client:
            job, card = await asked(served, client, repository)
            assert (card.tool, card.summary, card.why) == ("Bash", "touch made", "I will run it.")
            assert (await client.job(job)).job.waiting_on == card.id
            assert len(server.requests) == 1, "while it waits it asks the model for nothing"
            done = served.headway("answer", str(card.id), "allow")
            assert done.stdout == f"allowed once: J{job} Bash touch made\n", done.stderr
            await served.until_ended([job])
            detail = await client.job(job)
    (attempt,) = detail.attempts
    assert (detail.job.state, attempt.result, attempt.exit_code) == (State.SUCCEEDED, "Done.", 0)
    assert attempt.reason is None, "it ended by itself, once nothing more was said to it"
    assert attempt.unknown_lines == 0
    assert (Path(attempt.workspace or "") / "made").exists()


async def test_a_tool_waits_for_the_answer_from_the_console_and_goes_on(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    async with model_server([TOUCH, Step("Done.")]) as server:
        start(served, server, tmp_path)
        async with Client(served.home) as client:
            job, _ = await asked(served, client, repository)
            terminal = Terminal(served)
            try:
                await asyncio.to_thread(terminal.until, "permission")
                terminal.type("i")
                await asyncio.to_thread(terminal.until, "1 card for you")
                terminal.type("a")
                await served.until_ended([job])
                terminal.type("q")
                code = await asyncio.to_thread(terminal.end)
            finally:
                if terminal.process.poll() is None:
                    terminal.process.kill()
                    terminal.process.wait()
                terminal.hang_up()
            (card,) = await client.inbox(10)
            detail = await client.job(job)
    assert code == 0
    assert (card.choice, card.by) == ("allow", "operator")
    assert detail.job.state is State.SUCCEEDED
    assert (Path(detail.attempts[0].workspace or "") / "made").exists()


async def test_a_refusal_and_a_default_reach_the_model_as_words(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    again = Step("Another way.", run="touch made2")
    path = str(served.home / "worktrees" / "1-do-it" / "b.txt")
    steps = [TOUCH, again, Step("A file, then.", write=(path, "x")), Step("Then not.")]
    async with model_server(steps) as server:
        start(served, server, tmp_path, timeout="3s")
        async with Client(served.home) as client:
            job, card = await asked(served, client, repository)
            await client.reply(card.id, Reply(choice=Choice.DENY, reason="not on a Friday"))
            await served.until_ended([job])
            cards = await client.inbox(10)
            detail = await client.job(job)
    assert [(one.choice, one.by) for one in cards] == [("deny", "time-out"), ("deny", "time-out"), ("deny", "operator")]
    assert "+x" in cards[0].diff
    assert "not on a Friday" in json.dumps(server.requests[1]["messages"][-1])
    assert "Nobody answered within 3s" in told(server)
    assert (detail.job.state, detail.job.failure) == (State.FAILED, "bad_output")


async def test_an_engine_that_is_killed_loses_neither_the_card_nor_the_answer(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    question: dict[str, Any] = {
        "questions": [
            {
                "question": "Which database?",
                "header": "DB",
                "multiSelect": False,
                "options": [{"label": "SQLite", "description": "a file"}, {"label": "Postgres", "description": "more"}],
            }
        ]
    }
    steps = [TOUCH, Step("One more thing.", tool=("AskUserQuestion", question)), Step("Done.")]
    async with model_server(steps) as server:
        start(served, server, tmp_path)
        async with Client(served.home) as client:
            job, card = await asked(served, client, repository)
            pid = (await client.job(job)).attempts[0].pid
        served.kill()
        assert Path(f"/proc/{pid}").exists(), "the agent waits on"
        served.start()
        async with Client(served.home) as client:
            assert await client.inbox() == [card]
            seq = (await client.status()).seq
            await client.reply(card.id, Reply(choice=Choice.ALLOW))
            await served.until(lambda event: isinstance(event.body, log.Asked), after=seq)
            (second,) = await client.inbox()
            assert (second.kind, second.options) == ("question", ("SQLite", "Postgres"))
            served.kill()
            served.start()
        async with Client(served.home) as client:
            await client.reply(second.id, Reply(choice=Choice.ANSWER, reason="SQLite, in WAL mode"))
            await served.until_ended([job])
            detail = await client.job(job)
    assert (detail.job.state, len(detail.attempts)) == (State.SUCCEEDED, 1)
    assert "SQLite, in WAL mode" in told(server)
    assert len(server.requests) == 3


async def test_a_bypass_is_what_it_says_where_the_project_allows_it(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    async with model_server([TOUCH, Step("Done.")]) as server:
        start(served, server, tmp_path)
        served.stop()
        text = (served.home / "headway.yaml").read_text()
        more = f"projects: {{box: {{path: {repository}, permission: bypass, allow_bypass: true}}}}\n"
        # As root claude wants to be told that it is in a box of its own.
        settings_file(served.home, text.replace("    env:\n", '    env:\n      IS_SANDBOX: "1"\n') + more)
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="do it", agent="claude", project="box")])
            await served.until_ended([job])
            detail = await client.job(job)
            assert await client.inbox(5) == []
    assert detail.job.state is State.SUCCEEDED
    assert (Path(detail.attempts[0].workspace or "") / "made").exists()
