"""The rehearsal agent: plays a scenario in the format of Claude Code, with no model and no key."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.agents.base import Agent, Assignment, Launch, Parser
from engine.agents.claude_parser import ClaudeParser
from engine.errors import UsageError
from engine.rehearsal import agent as stand_in
from engine.rehearsal import scenario

DEFAULT = "fix-bug"


class Rehearsal(Agent):
    """Its model is the name of a scenario, or the path of a YAML file. The prompt is kept, and not read."""

    name = "rehearsal"
    chooses_session = True
    resumable = True
    provider = True
    stall_seconds = 900
    footprint = 30 << 20
    pass_env = ("HEADWAY_REHEARSAL_SPEED",)

    def launch(self, assignment: Assignment) -> Launch:
        played = scenario.find(assignment.model or DEFAULT, assignment.workspace)
        if assignment.resumes is not None:
            session = ["--resume", assignment.resumes]
        elif assignment.session is not None:
            session = ["--session-id", assignment.session]
        else:
            raise UsageError("a rehearsal needs a session id")
        command = assignment.settings.command or [sys.executable, "-I", "-S", str(Path(stand_in.__file__).resolve())]
        script = str(assignment.run_dir / "scenario.json")
        return Launch(
            argv=[*command, *assignment.settings.args, "--scenario", script, *session],
            files={"scenario.json": scenario.script(played), "prompt": assignment.prompt.encode(errors="replace")},
            stdin="prompt",
        )

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return ClaudeParser(self.name)
