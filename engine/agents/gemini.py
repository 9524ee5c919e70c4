"""Gemini CLI 0.61: its command line. What it prints is read by `gemini_parser`."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.agents.addresses import provider_at
from engine.agents.arguments import below, one_of, refuse, unsafe, uuid, word
from engine.agents.base import Agent, Assignment, Launch, Parser, ToolServer
from engine.agents.gemini_parser import GeminiParser
from engine.config import AgentSettings
from engine.errors import UsageError

#: What Headway sets for gemini; `env` in the settings overrides it.
ENVIRONMENT = {
    # It starts itself once more, with more memory, and that parent ignores SIGTERM while its child does the work.
    "GEMINI_CLI_NO_RELAUNCH": "true",
    # A worktree is new to it each time, and it does not start in a folder that nobody has trusted (exit 55). The
    # operator trusted the project by giving it to an agent.
    "GEMINI_CLI_TRUST_WORKSPACE": "true",
    "NO_COLOR": "1",
}

SETTINGS = ".gemini/settings.json"  #: in its workspace
TOOL_MS = (1 << 31) - 1  #: for one call of a tool: a person may take their time, and a timer of Node no more

#: The tool that reads a skill asks for consent, and headless it is not even offered: what was chosen for the job is.
ACTIVATE = "activate_skill"

#: What it may do unasked; the first is the default. Headless there is nobody to ask: other tools are not offered.
MODES = ("auto_edit", "default", "plan")

_OWN = "it has a setting of its own"
_SESSIONS = "Headway keeps the sessions"
RESERVED = {
    "--": "the prompt goes to standard input",
    **dict.fromkeys(("-p", "--prompt", "-i", "--prompt-interactive"), "the prompt goes to standard input"),
    **dict.fromkeys(("-m", "--model", "--approval-mode", "--allowed-tools"), _OWN),
    **dict.fromkeys(("-o", "--output-format"), "Headway reads stream-json"),
    **dict.fromkeys(("-r", "--resume", "--session-id", "--session-file", "--delete-session"), _SESSIONS),
    **dict.fromkeys(("-l", "--list-extensions", "--list-sessions"), "it would only list"),
    **dict.fromkeys(("-w", "--worktree"), "Headway makes the workspace"),
    **dict.fromkeys(("--acp", "--experimental-acp"), "the run would leave Headway's hands"),
}
UNSAFE = {"-y", "--yolo", "--admin-policy"}


class Gemini(Agent):
    """With GOOGLE_GEMINI_BASE_URL it takes no key but where its settings name one: `security.auth.selectedType`."""

    name = "gemini"
    chooses_session = True
    resumable = True
    provider = True
    takes_tools = True
    stall_seconds = 900  # without a RetryInfo it waits a minute before each of its ten tries, and says nothing
    package = "@google/gemini-cli"
    footprint = 260 << 20  # one process of 0.61 was seen at 249 MB
    skill_folders = (".agents/skills",)
    sheets = ("GEMINI.md",)
    pass_env = (
        "GEMINI_API_KEY", "GEMINI_CLI_HOME", "GEMINI_MODEL", "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
        "GEMINI_CLI_SYSTEM_DEFAULTS_PATH", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL",
        "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA", "GOOGLE_GENAI_API_VERSION",
        "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT_ID", "GOOGLE_CLOUD_LOCATION",
        "CODE_ASSIST_ENDPOINT", "DO_NOT_TRACK",
    )  # fmt: skip

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        return provider_at(env.get("GOOGLE_GEMINI_BASE_URL") or env.get("GOOGLE_VERTEX_BASE_URL"), "google")

    def personal_skills(self, env: Mapping[str, str]) -> Sequence[str]:
        """A workspace's skill goes before one of its user's with it; ours must not."""
        own = below(env, ("GEMINI_CLI_HOME", ".gemini/skills"), ("HOME", ".gemini/skills"))
        return [*own, *below(env, ("HOME", ".agents/skills"))]

    def own_folders(self, env: Mapping[str, str]) -> Sequence[str]:
        return below(env, ("GEMINI_CLI_HOME", ".gemini"), ("HOME", ".gemini"))

    def check(self, settings: AgentSettings) -> None:
        words = (*(settings.command or []), *settings.args)
        if settings.permission_mode == "yolo" or "yolo" in words or "--approval-mode=yolo" in words:
            raise unsafe(self.name, "yolo", settings)
        one_of(self.name, settings.permission_mode, MODES)
        for arg in settings.args:
            cluster = arg.startswith("-") and not arg.startswith("--") and "y" in arg.partition("=")[0]
            if cluster or arg.partition("=")[0] in UNSAFE:
                raise unsafe(self.name, arg, settings)
        refuse(self.name, settings.args, RESERVED, clusters=True)

    def launch(self, assignment: Assignment) -> Launch:
        """The mode and the tools are given again at each resume: a session does not keep them."""
        settings = assignment.settings
        self.check(settings)
        argv = [*(settings.command or ["gemini"]), *settings.args, "-o", "stream-json"]
        if assignment.resumes is not None:
            # By UUID alone: `latest` silently begins a new session where there is none.
            argv += ["--resume", uuid(self.name, assignment.resumes)]
        elif assignment.session is not None:
            argv += ["--session-id", uuid(self.name, assignment.session)]
        argv += _options(assignment)
        prompt = assignment.prompt.encode(errors="replace")
        return Launch(argv=argv, env=ENVIRONMENT, files={"prompt": prompt}, stdin="prompt")

    def offered(self, launch: Launch, server: ToolServer, env: Mapping[str, str]) -> tuple[Launch, Mapping[str, str]]:
        """In its workspace: settings of the system it takes from root alone, and the user's are left alone."""
        program, *args = server.command
        one = {"command": program, "args": args, "trust": True, "timeout": TOOL_MS}
        content = json.dumps({"mcpServers": {server.name: one}}).encode()
        return replace(launch, place={**launch.place, SETTINGS: content}), {}

    def version_command(self, settings: AgentSettings) -> list[str]:
        return [*(settings.command or ["gemini"]), "--version"]

    def interactive(self, assignment: Assignment) -> Launch:
        """Its own screen on the session, with the mode and the tools that its attempts have."""
        settings = assignment.settings
        self.check(settings)
        if assignment.resumes is None:
            raise UsageError("gemini: there is no session to go on with")
        argv = [*(settings.command or ["gemini"]), *settings.args, "--resume", uuid(self.name, assignment.resumes)]
        return Launch(argv=[*argv, *_options(assignment)], env=ENVIRONMENT)

    def record(self, env: Mapping[str, str]) -> str | None:
        """The record of the chat: what a run used before its end is told there alone, answer by answer."""
        home = env.get("GEMINI_CLI_HOME") or env.get("HOME")
        return f"{glob.escape(home)}/.gemini/tmp/*/chats/session-*-{{session8}}.jsonl" if home else None

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return GeminiParser(self.name, resumed=resumed)


def _options(assignment: Assignment) -> list[str]:
    settings = assignment.settings
    options = ["-m", word("gemini", assignment.model, "model")] if assignment.model else []
    options += ["--approval-mode", one_of("gemini", settings.permission_mode, MODES)]
    tools = list(settings.allowed_tools)
    if assignment.skills and ACTIVATE not in tools:
        tools.append(ACTIVATE)
    # One argument each: the option takes all words that follow it.
    options += [f"--allowed-tools={word('gemini', tool, 'allowed_tools')}" for tool in tools]
    return options
