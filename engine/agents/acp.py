"""Agents that speak the Agent Client Protocol on their standard streams: `gemini --acp`, `opencode acp` and others.

The engine is the client. It offers neither files nor terminals of its own, so that the agent works by its own tools and
asks before it uses them. Seen with Gemini CLI 0.61 and opencode 1.18: our first two requests may come at once, and
both exit when standard input is closed. What is asked is the agent's: gemini asks before all that changes something,
opencode as its own configuration says (`permission`); and opencode offers files to a client that does not want them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from engine.agents import acp_lines as lines
from engine.agents.acp_parser import AcpParser, task
from engine.agents.addresses import provider_at
from engine.agents.arguments import key_of
from engine.agents.asking import Request, Told
from engine.agents.base import Agent, Assignment, Errand, Launch, Parser, ToolServer
from engine.agents.gemini import Gemini
from engine.agents.lines import decode
from engine.agents.opencode import PERMISSION
from engine.config import AgentSettings
from engine.errors import SettingError, UsageError
from engine.model import Permission

COMMAND = ("gemini", "--acp")

#: As for gemini run headless: no second process that takes no signal, and a worktree is not asked about.
ENVIRONMENT = {"GEMINI_CLI_NO_RELAUNCH": "true", "GEMINI_CLI_TRUST_WORKSPACE": "true"}

_KINDS = {True: ("allow_once", "allow_always"), False: ("reject_once", "reject_always")}


class Acp(Agent):
    """The program is named by `command`. The protocol has no word for a refusal's reason: the agent hears only no."""

    name = "acp"
    resumable = True
    provider = True
    asks = True
    takes_tools = True
    stall_seconds = 900
    lingers = 3  # its standard input is closed: gemini then lives on for as long as the MCP servers that it started
    footprint = 320 << 20  # gemini's tree was seen at 249 to 390 MB
    pass_env = (
        "GEMINI_API_KEY", "GEMINI_CLI_HOME", "GEMINI_MODEL", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
    )  # fmt: skip

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        if settings.command is not None:
            return None  # any program
        return provider_at(env.get("GOOGLE_GEMINI_BASE_URL"), "google")

    def check(self, settings: AgentSettings) -> None:
        for word in (*(settings.command or ()), *settings.args):
            if "yolo" in word:
                why = f"{word!r} lets the agent do anything on this machine: remove it"
                raise SettingError(("agents", self.name, key_of(word, settings)), why)
        if settings.allowed_tools or settings.permission_mode:
            key = "allowed_tools" if settings.allowed_tools else "permission_mode"
            why = "what it may do unasked is said by permissions: rules: in headway.yaml"
            raise SettingError(("agents", self.name, key), why)

    def launch(self, assignment: Assignment) -> Launch:
        """What opens the session is fed at once; the prompt follows when the agent has named the session."""
        settings = assignment.settings
        self.check(settings)
        if assignment.permission is not Permission.ASK:
            raise UsageError("acp: its agents ask before each tool: say permission: ask; rules answer what they match")
        model = ["-m", assignment.model] if assignment.model else []
        if model and settings.command is not None:
            raise UsageError("acp: a model is an option of the program: put it into agents.acp.args")
        if assignment.model is not None and assignment.model.startswith("-"):
            raise UsageError(f"agents.acp: model {assignment.model!r} would be read as an option")
        offered = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        about = {"protocolVersion": lines.VERSION, "clientCapabilities": offered}
        session: dict[str, object] = {"cwd": str(assignment.workspace), "mcpServers": []}
        method = "session/new"
        if assignment.resumes is not None:
            method, session = "session/load", {"sessionId": assignment.resumes, **session}
        opening = lines.request(lines.INITIALIZE, "initialize", about) + lines.request(lines.SESSION, method, session)
        return Launch(
            argv=[*(settings.command or COMMAND), *settings.args, *model],
            env=ENVIRONMENT,
            files={"opening": opening, "task": task(assignment.prompt, assignment.resumes)},
            stdin="opening",
            talks=True,
        )

    def offered(self, launch: Launch, server: ToolServer, env: Mapping[str, str]) -> tuple[Launch, Mapping[str, str]]:
        """In the session that it opens, as the protocol has it.

        Gemini asks before it uses a server of that kind, and opencode where its configuration says so: these are told
        of it by their own ways, in which it is trusted.
        """
        if PurePath(launch.argv[0]).name == "gemini":
            return Gemini().offered(launch, server, env)
        first, second, _ = launch.files["opening"].split(b"\n")
        session, (program, *args) = json.loads(second), server.command
        session["params"]["mcpServers"] = [{"name": server.name, "command": program, "args": args, "env": []}]
        opening = b"\n".join((first, json.dumps(session).encode(), b""))
        more = {}
        if PurePath(launch.argv[0]).name == "opencode":
            rules = {**json.loads(env.get(PERMISSION) or "{}"), f"{server.name}_*": "allow"}
            more = {PERMISSION: json.dumps(rules)}
        return replace(launch, files={**launch.files, "opening": opening}), more

    def errand(self, errand: Errand, content: bytes) -> bytes:
        if errand.name != "prompt":
            return lines.refusal(errand.name.partition(".")[2])
        kept = decode(content, lines.Task) or lines.Task("")
        prompt = [{"type": "text", "text": kept.prompt}]
        session = errand.session or kept.session
        return lines.request(lines.PROMPT, "session/prompt", {"sessionId": session, "prompt": prompt})

    def answer(self, request: Request, told: Told) -> bytes:
        """The option that says it once, where there is one; what is not offered is a cancellation."""
        asked = decode(request.arguments, lines.PermissionAsked) or lines.PermissionAsked()
        number = request.id.partition(".")[2]
        for kind in _KINDS[told.allow]:
            for option in asked.options:
                if option.kind == kind:
                    outcome = {"outcome": "selected", "optionId": option.option_id}
                    return lines.response(number, {"outcome": outcome})
        return lines.response(number, {"outcome": {"outcome": "cancelled"}})

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return AcpParser(self.name)
