"""The real Claude Code as users run it: by the command line, told live, in an engine of its own process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from engine.model import JobSpec, State
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, run_git, settings_file
from tests.e2e.dialects import CACHED, FRESH, OUTPUT
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import installed


def _settings(served: Served, server: ModelServer, tmp_path: Path) -> None:
    """A home whose claude talks to the model server, with a made-up key and a configuration of its own."""
    served.env["ANTHROPIC_API_KEY"] = "sk-made-up"
    settings_file(
        served.home,
        f"""\
grace: 5
agents:
  claude:
    command: [{installed("claude")}]
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {tmp_path / "claude-config"}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
""",
    )


async def test_it_edits_a_file_in_a_worktree_and_everything_is_told(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    worktree = served.home / "worktrees" / "1-add-a-line"
    steps = [
        Step("I will write the file.", write=(str(worktree / "b.txt"), "two\nlines\n")),
        Step("Done: wrote b.txt.", wait=gate),
    ]
    async with model_server(steps) as server:
        _settings(served, server, tmp_path)
        served.start()
        async with Client(served.home) as client:
            spec = JobSpec(prompt="add a file", title="Add a line", agent="claude", project=str(repository))
            (job,) = await client.submit([spec])
            following = await asyncio.create_subprocess_exec(
                *_headway(served), "logs", "-f", "--json", str(job), stdout=asyncio.subprocess.PIPE
            )
            assert following.stdout is not None
            heard: list[dict[str, Any]] = []
            async with asyncio.timeout(PATIENCE):
                while line := await following.stdout.readline():
                    heard.append(json.loads(line)["event"])
                    if heard[-1]["kind"] == "file_edit":
                        # Told live: the model has not given its last answer yet.
                        assert (await client.job(job)).job.state is State.RUNNING
                        gate.set()
            await served.until_ended([job])
        shown: Any = served.json("show", str(job))
        diff = served.headway("diff", str(job)).stdout
    kinds = [event["kind"] for event in heard]
    assert kinds[0] == "started"
    assert kinds[-1] == "result"
    assert {"text", "tool_call", "tool_result", "file_edit"} <= set(kinds)
    assert shown["job"]["state"] == "succeeded"
    (attempt,) = shown["attempts"]
    assert attempt["diff"] == {"files": 1, "added": 2, "removed": 0, "whole": True}
    assert attempt["result"] == "Done: wrote b.txt."
    assert attempt["unknown_lines"] == 0
    (usage,) = attempt["usage"]
    assert usage["input_tokens"] == 2 * FRESH
    assert usage["cache_read_tokens"] == 2 * CACHED
    assert usage["output_tokens"] == 2 * OUTPUT
    assert usage["cost_micros"] > 0
    assert usage["grade"] == "reported"
    assert shown["job"]["cost_micros"] == usage["cost_micros"]
    assert "+two\n+lines\n" in diff
    assert (worktree / "b.txt").read_text() == "two\nlines\n"
    assert run_git(repository, "branch", "--list", "headway/1-add-a-line")
    assert not (repository / "b.txt").exists(), "the project's own checkout is untouched"


def _headway(served: Served) -> list[str]:
    return [sys.executable, "-m", "console.cli", "--home", str(served.home)]
