"""The real Claude Code before a gate: it says that its tests pass, is refused with proof, and mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.model import JobSpec
from engine.server.client import Client
from tests.conftest import Served, run_git, settings_file
from tests.e2e.model_server import Step, model_server
from tests.e2e.real_agents import installed

TEST = """\
import unittest
from add import add


class T(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(add(1, 2), 3)
"""
WRONG = "def add(a, b):\n    return a - b\n"


async def test_claude_is_refused_with_proof_and_mends_it_in_the_same_session(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    (repository / "test_add.py").write_text(TEST)
    run_git(repository, "add", ".")
    run_git(repository, "commit", "--quiet", "--message", "a test")
    file = str(served.home / "worktrees" / "1-add" / "add.py")
    steps = [
        Step("I will write it.", write=(file, WRONG)),
        Step("I wrote add.py. All tests pass."),
        Step("It subtracts. I will mend that.", run=f"printf 'def add(a, b):\\n    return a + b\\n' >{file}"),
        Step("It adds now, and all tests pass."),
    ]
    async with model_server(steps) as server:
        served.env["ANTHROPIC_API_KEY"] = "sk-made-up"
        settings_file(
            served.home,
            f"""\
grace: 5
gates:
  tests:
    checks: [python3 -B -m unittest -q]
agents:
  claude:
    command: [{installed("claude")}]
    allowed_tools: ["Bash(printf:*)"]
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {tmp_path / "claude-config"}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
""",
        )
        served.start()
        async with Client(served.home) as client:
            spec = JobSpec(prompt="write add", title="Add", agent="claude", project=str(repository), gate="tests")
            (job,) = await client.submit([spec])
            await served.until_ended([job])
        shown: Any = served.json("show", str(job))
        told = str(server.requests[-1])
    one, two = shown["attempts"]
    assert (shown["job"]["state"], one["failure"], two["succeeded"]) == ("succeeded", "gate_refused", True)
    assert two["resumes"] == one["session"] == two["session"]
    first, second = shown["looks"]
    assert (first["verdict"], second["verdict"], second["round"]) == ("refused", "passed", 2)
    assert [claim["quote"] for claim in first["claims"] if claim["holds"] is False] == ["All tests pass."]
    assert "AssertionError: -1 != 3" in first["findings"][0]["proof"]
    assert "AssertionError: -1 != 3" in told  # the model was shown the proof
