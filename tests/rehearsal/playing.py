"""Playing a scenario with the stand-in, and reading it as the engine does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine.agents.base import Exit, Outcome
from engine.agents.events import AnyAgentEvent
from engine.agents.rehearsal import CHOOSING, Rehearsal
from engine.rehearsal import agent
from engine.rehearsal.scenario import AnyStep, Format, Scenario, script

Json = dict[str, Any]


@dataclass(frozen=True)
class Played:
    code: int
    lines: list[Json]
    events: list[AnyAgentEvent]
    outcome: Outcome
    stderr: str
    record: list[Json]
    """What this run added to the agent's own record, where it has one."""


def steps(*those: AnyStep, format_: Format = "claude", **more: Any) -> Scenario:
    return Scenario(about="a test", steps=list(those), format=format_, **more)


def command(scenario: Scenario, directory: Path, resumes: str | None = None, session: str | None = None) -> list[str]:
    """How the adapter starts it. `directory` is where the script and the sessions are kept."""
    path = directory / "scenario.json"
    path.write_bytes(script(scenario))
    words = ["--resume", resumes] if resumes else ["--session-id", session or str(uuid4())]
    if scenario.format not in CHOOSING and not resumes:
        words = []
    kept = ["--sessions", str(directory / "sessions")]
    return [sys.executable, "-I", "-S", agent.__file__, scenario.format, "--scenario", str(path), *words, *kept]


def environment(speed: str = "0") -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HEADWAY_REHEARSAL_SPEED": speed}


def told(
    format_: Format, code: int, stdout: bytes, stderr: bytes, *, record: bytes = b"", resumed: bool = False
) -> Played:
    parser = Rehearsal().parser(model=f"{format_}/fix-bug", resumed=resumed)
    lines, kept = stdout.splitlines(), record.splitlines()
    events = [event for line in lines for event in parser.line(line)]
    events += [event for line in kept for event in parser.record(line)]
    outcome = parser.outcome(Exit(code if code >= 0 else 128 - code), stderr.decode())
    return Played(code, [*read(lines)], events, outcome, stderr.decode(), [*read(kept)])


def read(lines: list[bytes]) -> Iterator[Json]:
    return (json.loads(line) for line in lines)


def rollouts(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (directory / "sessions").glob("sessions/*/*/*/rollout-*.jsonl")}


def play(
    scenario: Scenario, workspace: Path, directory: Path, resumes: str | None = None, session: str | None = None
) -> Played:
    before = rollouts(directory)
    argv = command(scenario, directory, resumes, session)
    ended = subprocess.run(argv, cwd=workspace, env=environment(), input=b"go", capture_output=True, timeout=30)
    record = b"".join(text[len(before.get(path, b"")) :] for path, text in rollouts(directory).items())
    return told(
        scenario.format, ended.returncode, ended.stdout, ended.stderr, record=record, resumed=resumes is not None
    )
