"""The real Claude Code's own screen, opened on the session that a job had, at a pseudo-terminal."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from engine import events as log
from engine.model import JobSpec
from engine.server.client import Client
from tests.cli.test_attach import Terminal
from tests.conftest import Served, settings_file
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import PACKAGES, installed
from tests.forked import REAL_START


def _settings(served: Served, server: ModelServer, config: Path) -> None:
    """A home whose claude talks to the model server; its first-run questions are answered beforehand."""
    # The terminal is given what the kernel says of the engine's environment.
    served.env |= {"ANTHROPIC_API_KEY": "sk-made-up", REAL_START: "1"}
    settings_file(
        served.home,
        f"""\
grace: 5
agents:
  claude:
    command: [{installed("claude")}]
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {config}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
""",
    )
    config.mkdir()
    work = served.home / "work" / "1"
    (config / ".claude.json").write_text(
        json.dumps(
            {
                "hasCompletedOnboarding": True,
                "theme": "dark",
                "customApiKeyResponses": {"approved": ["sk-made-up"], "rejected": []},
                "projects": {str(work): {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
            }
        )
    )


async def test_the_operator_goes_on_in_the_jobs_conversation_and_a_fork_carries_it_all_on(
    served: Served, tmp_path: Path
) -> None:
    steps = [Step("The answer of the job is forty-two."), Step("Twice that is known."), Step("Both are known.")]
    async with model_server(steps) as server:
        _settings(served, server, tmp_path / "config")
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="what is the answer?", agent="claude")])
            await served.until_ended([job])
            session = (await client.job(job)).attempts[0].session
        terminal = Terminal(served, "attach", str(job))
        try:
            await asyncio.to_thread(terminal.until, "forty-two")
            assert re.search(rf"session {session}", terminal.wrote)
            terminal.type("redouble")  # one word: it draws a space by moving the cursor
            await asyncio.to_thread(terminal.until, "redouble")
            terminal.type("\r")
            await asyncio.to_thread(terminal.until, "Twice")
            terminal.type("/exit")
            await asyncio.to_thread(terminal.until, "/exit")
            terminal.type("\r")
            code = await asyncio.to_thread(terminal.end)
        finally:
            if terminal.process.poll() is None:
                terminal.process.kill()
                terminal.process.wait()
            terminal.hang_up()
        assert code == 0
        assert "J1 is succeeded, as before" in terminal.wrote
        async with Client(served.home) as client:
            seq = (await client.status()).seq
            assert served.headway("retry", "--fork", "1").returncode == 0
            await served.until(lambda event: isinstance(event.body, log.Succeeded), after=seq)
            detail = await client.job(job)
    fork = detail.attempts[1]
    assert (fork.resumes, fork.forked) == (session, True)
    assert fork.session not in (None, session)
    told = json.dumps(server.requests[-1]["messages"])
    kept = (
        "what is the answer?",
        "forty-two",
        "redouble",
        "Twice that is known.",
        "The operator worked in this session",
    )
    assert [words for words in kept if words not in told] == []
    parent, child = sorted(detail.sessions, key=lambda one: one.id == fork.session)
    assert (parent.state, child.parent, child.agent_version) == (
        "forked",
        session,
        PACKAGES["claude"].rpartition("@")[2],
    )
