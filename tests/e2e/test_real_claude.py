"""The real Claude Code, from its registry, against a model server on loopback: a job there and back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.model import JobSpec, State, Verb
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, run_git, settings_file
from tests.e2e.model_server import OUTPUT_TOKENS, USAGE, ModelServer, Step, model_server


def _settings(served: Served, claude: Path, server: ModelServer, tmp_path: Path, extra: str = "") -> None:
    """A home whose claude talks to the model server, with a made-up key and a configuration of its own."""
    served.env["ANTHROPIC_API_KEY"] = "sk-made-up"
    settings_file(
        served.home,
        f"""\
grace: 5
agents:
  claude:
    command: [{claude}]
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {tmp_path / "claude-config"}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
    {extra}
""",
    )


async def test_it_edits_a_file_in_a_worktree_and_everything_is_told(
    served: Served, claude: Path, repository: Path, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    worktree = served.home / "worktrees" / "1-add-a-line"
    steps = [
        Step("I will write the file.", "Write", {"file_path": str(worktree / "b.txt"), "content": "two\nlines\n"}),
        Step("Done: wrote b.txt.", wait=gate),
    ]
    async with model_server(steps) as server:
        _settings(served, claude, server, tmp_path)
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
    assert usage["input_tokens"] == 2 * USAGE["input_tokens"]
    assert usage["cache_read_tokens"] == 2 * USAGE["cache_read_input_tokens"]
    assert usage["output_tokens"] == 2 * OUTPUT_TOKENS
    assert usage["cost_micros"] > 0
    assert usage["grade"] == "reported"
    assert shown["job"]["cost_micros"] == usage["cost_micros"]
    assert "+two\n+lines\n" in diff
    assert (worktree / "b.txt").read_text() == "two\nlines\n"
    assert run_git(repository, "branch", "--list", "headway/1-add-a-line")
    assert not (repository / "b.txt").exists(), "the project's own checkout is untouched"


async def test_a_retry_goes_on_in_the_same_session_and_pays_once(
    served: Served, claude: Path, repository: Path, tmp_path: Path
) -> None:
    steps = [
        Step("Working.", "Bash", {"command": "echo begun > begun.txt", "description": "begin"}),
        Step(status=403),
        Step("Finished what I had begun."),
    ]
    async with model_server(steps) as server:
        _settings(served, claude, server, tmp_path, extra="allowed_tools: [Bash]")
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="do it", agent="claude", project=str(repository))])
            await served.until(lambda event: event.job == job and event.body.__class__.__name__ == "Held")
            refused = await client.job(job)
            assert (refused.job.state, refused.job.failure) == (State.READY, "auth"), "the operator has to sign in"
            seq = (await client.status()).seq
            await client.act(Verb.RELEASE, [job])
            await served.until(
                lambda event: event.job == job and event.body.__class__.__name__ == "Succeeded", after=seq
            )
            detail = await client.job(job)
        first, second = detail.attempts
        assert second.resumes == first.session == second.session
        assert second.workspace == first.workspace
        resumed = json.dumps(server.requests[-1]["messages"])
        assert "begun.txt" in resumed, "the model was told what it had done before"
        assert second.usage[0].output_tokens == OUTPUT_TOKENS
        both = (first.usage[0].cost_micros or 0) + (second.usage[0].cost_micros or 0)
        assert detail.job.cost_micros == both
        assert (second.usage[0].cost_micros or 0) <= (first.usage[0].cost_micros or 0)


async def test_cancel_in_a_tool_call_leaves_no_process(
    served: Served, claude: Path, repository: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    command = f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 600' & tail -f /dev/null"
    steps = [Step("Starting.", "Bash", {"command": command, "description": "wait", "timeout": 600_000})]
    async with model_server(steps) as server:
        _settings(served, claude, server, tmp_path, extra="allowed_tools: [Bash]")
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="wait", agent="claude", project=str(repository))])
            async with asyncio.timeout(PATIENCE):
                while not (pid_file.exists() and pid_file.read_text().strip()):
                    await asyncio.sleep(0.05)
            pid = int(pid_file.read_text())
            assert Path(f"/proc/{pid}").exists()
            done = await asyncio.to_thread(served.headway, "cancel", str(job))
            assert done.returncode == 0, done.stderr
            assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
            assert (await client.job(job)).job.state is State.CANCELLED


async def test_a_denied_tool_that_leaves_nothing_is_no_success(
    served: Served, claude: Path, repository: Path, tmp_path: Path
) -> None:
    steps = [
        Step("I will run it.", "Bash", {"command": "touch made", "description": "make"}),
        Step("All done!"),
    ]
    async with model_server(steps) as server:
        _settings(served, claude, server, tmp_path, extra="permission_mode: default")
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="make it", agent="claude", project=str(repository))])
            await served.until_ended([job])
            ended = (await client.job(job)).job
    assert (ended.state, ended.failure) == (State.FAILED, "bad_output")
    assert "Bash" in (ended.reason or "")


def _headway(served: Served) -> list[str]:
    import sys

    return [sys.executable, "-m", "console.cli", "--home", str(served.home)]


@pytest.fixture(autouse=True)
def _only_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine stands between the agent and the server on loopback."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
