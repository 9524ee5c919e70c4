"""A fleet to rehearse with: a sample project, and jobs over every scenario."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from engine.errors import UsageError
from engine.model import Failure, Job, JobSpec, Permission, State, Workspace
from engine.rehearsal.scenario import project_files, split

#: Scenario and the format to play it in, priority, title, prompt. Two want the same bug fixed, as happens in a real
#: queue.
_AGENT_JOBS = (
    ("fix-bug", 1, "Fix the failing ledger test", "A test of tally/ledger.py fails. Find out why and fix it."),
    ("codex/tests", 3, "Tests for the report", "tally/report.py has no tests. Add some that would catch a wrong sign."),
    (
        "gemini/long-think",
        4,
        "Advise on several currencies",
        "How should tally deal with two currencies? Only advise.",
    ),
    (
        "opencode/refactor",
        5,
        "Take report.month apart",
        "report.month does too much. Split it; keep its output as it is.",
    ),
    ("write-docs", 5, "A usage guide", "Write docs/usage.md for people who have never seen tally."),
    ("opencode/flaky-network", 2, "Raise the version to 0.3.1", "Raise the version in pyproject.toml to 0.3.1."),
    ("limit", 4, "Write the changelog", "Write CHANGELOG.md from what the code can do today."),
    (
        "codex/crash",
        3,
        "A command line for tally",
        "Let `python3 -m tally 2026-03` print a month from its input.",
    ),
    ("overflow", 7, "Explain last month's log", "Read everything, the log too, and explain the sums of last month."),
    ("gemini/denied", 6, "Tag and push the release", "Tag v0.3.0 and push the tag."),
    ("ask", 1, "Raise the version and tag it", "Raise the version to 0.4.0 and tag the release. Ask before you do."),
    ("gemini/fix-bug", 2, "The last day is missing", "Reports leave out the 31st. Mend it."),
    ("opencode/write-docs", 8, "Examples in the README", "The README needs an example for each call."),
    ("refactor", 6, "Formatting by f-strings", "Use f-strings in tally/report.py wherever they read better."),
    ("codex/tests", 9, "Tests for leap years", "Add tests for February 2028 and December 2026."),
)

_SHELL_JOBS = (
    (0, "Check that it imports", "python3 -B -c \"import tally.ledger, tally.report; print('ok')\""),
    (5, "Run the tests", "python3 -B -m unittest discover -s tests -t ."),
    (7, "Count the lines", "wc -l tally/*.py tests/*.py"),
)

#: How a scenario ends that is not simply a success (None): by these classes, or by success where it can be resumed.
_AGENT_ENDS: Mapping[str, frozenset[Failure | None]] = {
    "limit": frozenset({Failure.RATE_LIMITED, None}),
    "crash": frozenset({Failure.CRASHED, None}),
    "overflow": frozenset({Failure.CONTEXT_OVERFLOW}),
    "denied": frozenset({Failure.BAD_OUTPUT}),  # refused its tool and changed nothing
    "ask": frozenset({Failure.BAD_OUTPUT, None}),  # as the operator answers
    "codex/denied": frozenset({None}),  # which codex tells nobody
    "opencode/limit": frozenset({None}),  # it sleeps through one
    "gemini/overflow": frozenset({Failure.UNKNOWN}),  # of which it tells a 400, like of any other bad request
}

#: The sample project has a failing test.
_SHELL_ENDS: Mapping[str, frozenset[Failure | None]] = {"Run the tests": frozenset({Failure.UNKNOWN})}

_IDENTITY = ("-c", "user.name=Rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false")


def fleet(project: Path) -> list[JobSpec]:
    """Jobs for the rehearsal agent and the shell. Each works in a worktree of its own under `project`."""
    where = str(project)
    agents = [
        JobSpec(
            prompt=prompt,
            title=title,
            agent="rehearsal",
            model=scenario,
            project=where,
            workspace=Workspace.WORKTREE,
            priority=priority,
            permission=Permission.ASK if scenario == "ask" else None,
        )
        for scenario, priority, title, prompt in _AGENT_JOBS
    ]
    shells = [
        JobSpec(
            prompt=command,
            title=title,
            agent="shell",
            project=where,
            workspace=Workspace.WORKTREE,
            priority=priority,
        )
        for priority, title, command in _SHELL_JOBS
    ]
    return agents + shells


def is_as_rehearsed(job: Job) -> bool:
    """Whether a job of the fleet has ended, and in the way that it was made to."""
    played = job.model or ""
    if job.agent == "shell":
        known = _SHELL_ENDS.get(job.title)
    else:
        known = _AGENT_ENDS.get(played) or _AGENT_ENDS.get(split(played)[1])
    expected = known or frozenset({None})
    if job.state is State.SUCCEEDED:
        return None in expected
    return job.state is State.FAILED and job.failure is not None and job.failure in expected


def make_project(directory: Path) -> None:
    """Make the sample project, a git repository with one commit, in a directory that is new or empty.

    Raises `UsageError` where the directory holds something, or git is missing or refuses.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is not empty: name a new directory for the sample project")
    for name, text in project_files().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _git(directory, "init", "--quiet", "--initial-branch=main")
    _git(directory, "add", "--all")
    _git(directory, *_IDENTITY, "commit", "--quiet", "--no-verify", "--message", "A ledger that adds up")


def _git(directory: Path, *args: str) -> None:
    """Without the user's or the machine's configuration, whose hooks and templates are not ours to run."""
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        subprocess.run(
            ["git", "-C", str(directory), *args],
            env={**inherited, **alone},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
        )
    except FileNotFoundError:
        raise UsageError("the sample project needs git, which is not installed") from None
    except subprocess.CalledProcessError as error:
        raise UsageError(f"git {args[0]} in {directory} failed: {error.stderr.strip()}") from None
