"""How the rehearsal agent is started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.agents.base import Assignment, Exit
from engine.agents.rehearsal import Rehearsal
from engine.config import AgentSettings
from engine.errors import UsageError

SESSION = "2b6adb00-2d66-458e-8daf-51ff9089bee7"


def assignment(
    directory: Path,
    model: str | None = None,
    session: str | None = SESSION,
    resumes: str | None = None,
    settings: AgentSettings | None = None,
) -> Assignment:
    return Assignment(
        prompt="go",
        model=model,
        workspace=directory,
        run_dir=directory,
        settings=settings or AgentSettings(),
        session=session,
        resumes=resumes,
    )


def test_it_is_python_with_a_script_and_a_session(tmp_path: Path) -> None:
    launch = Rehearsal().launch(assignment(tmp_path))
    assert list(launch.argv[:3]) == [sys.executable, "-I", "-S"]
    assert list(launch.argv[4:]) == ["claude", "--scenario", str(tmp_path / "scenario.json"), "--session-id", SESSION]
    assert launch.env == {}
    assert launch.files["prompt"] == b"go"
    assert launch.stdin == "prompt"
    assert "off-by-one" in msgspec.json.decode(launch.files["scenario.json"])["about"]


def test_a_session_is_resumed(tmp_path: Path) -> None:
    assert list(Rehearsal().launch(assignment(tmp_path, "limit", resumes=SESSION)).argv[-2:]) == ["--resume", SESSION]
    with pytest.raises(UsageError, match="needs a session"):
        Rehearsal().launch(assignment(tmp_path, session=None))


@pytest.mark.parametrize(
    ("format_", "session"), [("codex", []), ("opencode", []), ("gemini", ["--session-id", SESSION])]
)
def test_the_other_formats_remember_with_the_first_attempt_of_the_job(
    format_: str, session: list[str], tmp_path: Path
) -> None:
    """Attempts of a job share what they remember, and codex and opencode choose their sessions' names themselves."""
    script, kept = str(tmp_path / "2" / "scenario.json"), str(tmp_path / "1" / "sessions")
    second = replace(assignment(tmp_path, f"{format_}/limit"), run_dir=tmp_path / "2")
    launch = Rehearsal().launch(second)
    assert list(launch.argv[4:]) == [format_, "--scenario", script, *session, "--sessions", kept]
    resumed = Rehearsal().launch(replace(second, resumes=SESSION))
    assert list(resumed.argv[4:]) == [format_, "--scenario", script, "--resume", SESSION, "--sessions", kept]
    record = Rehearsal().record(launch.env)
    assert record == (f"{kept}/sessions/*/*/*/rollout-*-{{session}}.jsonl" if format_ == "codex" else None)


def test_it_tells_the_version_that_its_stream_has(tmp_path: Path) -> None:
    command = Rehearsal().version_command(AgentSettings())
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    script = msgspec.json.decode(Rehearsal().launch(assignment(tmp_path)).files["scenario.json"])
    assert said.split()[0] == script["stream"]["init"]["claude_code_version"]


def test_a_fork_has_both_names(tmp_path: Path) -> None:
    fork = replace(assignment(tmp_path, "limit", session="new", resumes=SESSION), fork=True)
    assert list(Rehearsal().launch(fork).argv[-4:]) == ["--resume", SESSION, "--session-id", "new"]


def test_another_command_may_stand_for_it(tmp_path: Path) -> None:
    launch = Rehearsal().launch(assignment(tmp_path, settings=AgentSettings(command=["nice", "stand-in"], args=["-v"])))
    assert list(launch.argv[:4]) == ["nice", "stand-in", "-v", "claude"]


def test_an_unknown_scenario_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean fix-bug"):
        Rehearsal().launch(assignment(tmp_path, "fixbug"))


def test_it_plays_at_the_speed_that_is_passed_on(tmp_path: Path) -> None:
    """A pause of a minute, at a thousand times the speed."""
    (tmp_path / "slow.yaml").write_text("about: Waits.\nsteps:\n- {do: say, pause: 60000, text: Here.}\n")
    launch = Rehearsal().launch(assignment(tmp_path, "slow.yaml"))
    for name, data in launch.files.items():
        (tmp_path / name).write_bytes(data)
    (speed,) = Rehearsal.pass_env
    environment = {"PATH": os.environ["PATH"], **launch.env, speed: "1000"}
    began = time.monotonic()
    ended = subprocess.run(launch.argv, env=environment, stdout=subprocess.PIPE, cwd=tmp_path, timeout=30)
    assert 0.06 <= time.monotonic() - began < 20

    parser = Rehearsal().parser()
    for line in ended.stdout.splitlines():
        parser.line(line)
    outcome = parser.outcome(Exit(ended.returncode), "")
    assert (outcome.succeeded, outcome.result, outcome.session) == (True, "Here.", SESSION)
    assert parser.said_done


@pytest.mark.parametrize("format_", ["codex", "opencode", "gemini"])
def test_only_claude_goes_on_with_a_copy_of_a_session(format_: str, tmp_path: Path) -> None:
    """As the adapters of the real agents do; the stand-in of another would look for a session that never was."""
    forked = replace(assignment(tmp_path, f"{format_}/limit", resumes=SESSION), fork=True)
    with pytest.raises(UsageError, match=f"{format_} is not asked for a copy"):
        Rehearsal().launch(forked)
    assert Rehearsal().launch(replace(forked, model="limit")).argv[-4] == "--resume"


@pytest.mark.parametrize("model", ["nosuch", "fix-bgu", "codex/nosuch", "codex/ask"])
def test_a_scenario_that_does_not_exist_or_cannot_be_played_is_refused_at_submit(model: str) -> None:
    with pytest.raises(UsageError, match=r"did you mean|there are|asks nothing"):
        Rehearsal().accept(model, AgentSettings())


@pytest.mark.parametrize(
    "model", [None, "fix-bug", "codex/fix-bug", "mine.yaml", "./later/mine.yaml", "gemini/mine.yml"]
)
def test_a_file_is_looked_for_where_the_job_works_and_not_before(model: str | None) -> None:
    Rehearsal().accept(model, AgentSettings())
