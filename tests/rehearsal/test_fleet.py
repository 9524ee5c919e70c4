"""The rehearsal fleet and the project that it works on."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from engine.errors import UsageError
from engine.model import Failure, Job, JobSpec, State
from engine.rehearsal.fleet import fleet, is_as_rehearsed, make_project
from engine.rehearsal.scenario import FORMATS, find, names, split


def git(directory: Path, *args: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *args], capture_output=True, text=True, check=True).stdout


#: There is no race in it, and no gate.
ELSEWHERE = {"judge", "optimist", "stubborn", "reviewer", "critic"}


def test_the_fleet_plays_every_scenario(tmp_path: Path) -> None:
    jobs = fleet(tmp_path)
    assert Counter(job.agent for job in jobs) == {"rehearsal": 15, "shell": 3}
    played = [job.model for job in jobs if job.agent == "rehearsal"]
    assert {split(name or "")[1] for name in played} == set(names()) - ELSEWHERE
    assert {split(name or "")[0] or "claude" for name in played} == set(FORMATS)
    assert all(find(name or "", tmp_path) for name in played)
    assert len({job.title for job in jobs}) == len(jobs)
    assert len({job.priority for job in jobs}) > 5
    assert {job.project for job in jobs} == {str(tmp_path)}
    assert msgspec.json.decode(msgspec.json.encode(jobs), type=list[JobSpec]) == jobs


def ended(spec: JobSpec, failure: Failure | None) -> Job:
    return Job(
        id=1,
        state=State.SUCCEEDED if failure is None else State.FAILED,
        title=spec.title or "",
        agent=spec.agent or "",
        model=spec.model,
        project=spec.project,
        priority=spec.priority,
        created_at=0,
        failure=failure,
    )


@pytest.mark.parametrize(
    ("scenario", "failure", "rehearsed"),
    [
        ("fix-bug", None, True),
        ("fix-bug", Failure.CRASHED, False),
        ("crash", None, True),
        ("limit", Failure.RATE_LIMITED, True),
        ("limit", Failure.AUTH, False),
        ("overflow", Failure.CONTEXT_OVERFLOW, True),
        ("overflow", None, False),
        ("gemini/denied", Failure.BAD_OUTPUT, True),
        ("gemini/denied", None, False),
        ("ask", None, True),
        ("ask", Failure.CRASHED, False),
        ("codex/crash", Failure.CRASHED, True),
        ("codex/denied", None, True),
        ("codex/denied", Failure.BAD_OUTPUT, False),
    ],
)
def test_a_job_ends_as_rehearsed_or_not(scenario: str, failure: Failure | None, rehearsed: bool) -> None:
    spec = msgspec.structs.replace(fleet(Path())[0], model=scenario)
    assert is_as_rehearsed(ended(spec, failure)) is rehearsed


def test_a_shell_job_ends_as_its_command_does() -> None:
    tests, count = (spec for spec in fleet(Path()) if spec.title in ("Run the tests", "Count the lines"))
    assert is_as_rehearsed(ended(tests, Failure.UNKNOWN)) and not is_as_rehearsed(ended(tests, None))
    assert is_as_rehearsed(ended(count, None)) and not is_as_rehearsed(ended(count, Failure.UNKNOWN))


def test_a_job_that_still_runs_has_not_ended() -> None:
    spec = fleet(Path())[0]
    assert not is_as_rehearsed(msgspec.structs.replace(ended(spec, None), state=State.RUNNING))


def test_the_project_is_a_clean_repository_with_one_bug(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "tally"
    make_project(directory)
    assert git(directory, "log", "--format=%s %an", "main").splitlines() == ["A ledger that adds up Rehearsal"]
    assert git(directory, "status", "--porcelain") == ""
    argv = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    ended = subprocess.run(argv, cwd=directory, capture_output=True, text=True)
    assert "FAILED (failures=1)" in ended.stderr
    assert "test_between_includes_the_last_day" in ended.stderr


def test_the_shell_jobs_run_in_it(tmp_path: Path) -> None:
    make_project(tmp_path / "tally")
    codes = [
        subprocess.run(["sh", "-c", job.prompt], cwd=tmp_path / "tally", capture_output=True).returncode
        for job in fleet(tmp_path)
        if job.agent == "shell"
    ]
    assert codes == [0, 1, 0]


def test_the_user_s_git_settings_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-commit").write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    (hooks / "post-commit").chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\nhooksPath = {hooks}\n[commit]\ngpgsign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    make_project(tmp_path / "tally")
    assert (tmp_path / "tally" / ".git").is_dir()
    assert not (tmp_path / "hook-ran").exists()


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        make_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_missing_git_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs git, which is not installed"):
        make_project(tmp_path / "tally")
