"""The shell agent: the exit code is the verdict."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agents.base import Assignment, Exit
from engine.agents.events import Output
from engine.agents.shell import Shell
from engine.config import AgentSettings
from engine.model import Failure


def _assignment(prompt: str, run_dir: Path) -> Assignment:
    return Assignment(prompt=prompt, model=None, workspace=run_dir, run_dir=run_dir, settings=AgentSettings())


@pytest.mark.parametrize(
    ("code", "failure", "said"),
    [
        (1, Failure.UNKNOWN, "exit 1: boom"),
        (126, Failure.SPAWN_FAILED, "the command could not be run: boom"),
        (127, Failure.SPAWN_FAILED, "command not found: boom"),
        (137, Failure.CRASHED, "ended by signal 9: boom"),
    ],
)
def test_an_exit_code_says_what_happened(code: int, failure: Failure, said: str) -> None:
    parser = Shell().parser()
    parser.line(b"boom")
    parser.line(b"  ")
    outcome = parser.outcome(Exit(code), "")
    assert (outcome.succeeded, outcome.failure, outcome.reason) == (False, failure, said)


def test_the_last_lines_are_the_result() -> None:
    parser = Shell().parser()
    for number in range(100):
        assert parser.line(b"line %d" % number) == [Output(f"line {number}")]
    result = parser.outcome(Exit(0), "").result or ""
    assert result.splitlines()[-1] == "line 99"
    assert len(result.splitlines()) == 20


@given(st.binary())
def test_any_bytes_can_be_read(line: bytes) -> None:
    parser = Shell().parser()
    parser.line(line)
    assert parser.outcome(Exit(0), "").succeeded


def test_a_command_longer_than_an_argument_may_be_is_run(tmp_path: Path) -> None:
    prompt = "echo start\n" + ": filler\n" * 40_000 + "echo end\n"
    launch = Shell().launch(_assignment(prompt, tmp_path))
    for name, content in launch.files.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(launch.argv, capture_output=True, text=True, check=True)
    assert done.stdout == "start\nend\n"
