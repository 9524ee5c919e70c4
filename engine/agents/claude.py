"""Claude Code 2.1: its command line. What it prints is read by `claude_parser`."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from engine.agents import claude_asking
from engine.agents.addresses import provider_at
from engine.agents.arguments import below, key_of
from engine.agents.asking import Request, Told
from engine.agents.base import STANDING, Agent, Assignment, Launch, Parser, ToolServer
from engine.agents.claude_parser import ClaudeParser
from engine.config import AgentSettings
from engine.errors import SettingError, UsageError
from engine.model import Permission

#: What Headway sets for claude; `env` in the settings overrides it.
ENVIRONMENT = {
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # else a background shell keeps the process for 600 s after its result
    "CLAUDE_CODE_STARTUP_FAILURE_RESULTS": "1",  # a start that fails says why in JSON, not only on stderr
    "CLAUDE_CODE_MAX_RETRIES": "2",  # the default, 10, is three minutes in which only claude knows what it waits for
    "API_TIMEOUT_MS": "180000",  # to the first byte of an answer, instead of 360 s; a slow stream is not cut
    "DISABLE_AUTOUPDATER": "1",
}

#: Options that are Headway's to give, and what to say to who puts them into `args`.
RESERVED = {
    "--": "the prompt goes to standard input",
    **dict.fromkeys(
        ("--permission-mode", "--allowedTools", "--allowed-tools", "--model"), "it has a setting of its own"
    ),
    **dict.fromkeys(("--output-format", "--input-format"), "Headway speaks stream-json"),
    "--permission-prompt-tool": "`permission: ask` brings its questions before you",
    **dict.fromkeys(
        ("--session-id", "--resume", "-r", "--continue", "-c", "--fork-session", "--no-session-persistence"),
        "Headway keeps the sessions",
    ),
    **dict.fromkeys(("--bg", "--background", "--cloud", "--teleport"), "the run would leave Headway's hands"),
}


SERVERS = "servers.json"  #: in the run directory
TOOL_MS = 7 * 86_400_000  #: for one call of a tool: a person may take their time

#: What lets it ask a cloud for the model instead of Anthropic.
CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": "bedrock",
    "CLAUDE_CODE_USE_VERTEX": "vertex",
    "CLAUDE_CODE_USE_FOUNDRY": "foundry",
}


class Claude(Agent):
    name = "claude"
    chooses_session = True
    resumable = True
    forks = True
    provider = True
    asks = True
    takes_tools = True
    stall_seconds = 900
    package = "@anthropic-ai/claude-code"
    footprint = 300 << 20  # the whole tree of 2.1 was seen at 210 to 292 MB
    skill_folders = (".claude/skills",)
    appended_by = "--append-system-prompt-file"
    pass_env = (
        "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS",
        "ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL",
        "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_PROFILE",
        "ANTHROPIC_BEDROCK_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL", "ANTHROPIC_VERTEX_PROJECT_ID",
        "ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_FOUNDRY_BASE_URL", "ANTHROPIC_FOUNDRY_RESOURCE",
        "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY", "CLAUDE_CODE_SKIP_BEDROCK_AUTH", "CLAUDE_CODE_SKIP_VERTEX_AUTH",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING", "DO_NOT_TRACK",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
        "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK",
        "CLOUD_ML_REGION", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT",
    )  # fmt: skip

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        for variable, provider in CLOUDS.items():
            if env.get(variable, "0").lower() not in ("", "0", "false"):
                return provider
        return provider_at(env.get("ANTHROPIC_BASE_URL"), "anthropic")

    def personal_skills(self, env: Mapping[str, str]) -> Sequence[str]:
        return below(env, ("CLAUDE_CONFIG_DIR", "skills"), ("HOME", ".claude/skills"))

    def own_folders(self, env: Mapping[str, str]) -> Sequence[str]:
        if env.get("CLAUDE_CONFIG_DIR"):
            return [env["CLAUDE_CONFIG_DIR"]]
        return [*below(env, ("HOME", ".claude")), *below(env, ("HOME", ".claude.json"))]

    def appends(self, settings: AgentSettings, env: Mapping[str, str]) -> bool:
        """It takes the option once: one of the settings stands."""
        return not any(arg.startswith("--append-system-prompt") for arg in settings.args)

    def check(self, settings: AgentSettings) -> None:
        _refuse(settings)

    def launch(self, assignment: Assignment) -> Launch:
        """The prompt goes to standard input: one argument may not pass 128 KiB, and `ps` shows arguments to all."""
        argv = [*_command(assignment.settings), "-p", "--output-format", "stream-json", "--verbose"]
        if assignment.resumes is not None:
            argv += ["--resume", _session(assignment.resumes)]
        if assignment.fork:
            argv.append("--fork-session")
        if assignment.session is not None and (assignment.resumes is None or assignment.fork):
            argv += ["--session-id", _session(assignment.session)]
        if assignment.permission is Permission.ASK:
            argv += ["--input-format", "stream-json", "--permission-prompt-tool", "stdio"]
        argv += _options(assignment)
        files = {}
        if assignment.standing:
            argv += [self.appended_by, str(assignment.run_dir / STANDING)]
            files[STANDING] = assignment.standing.encode(errors="replace")
        if assignment.permission is Permission.ASK:
            files["prompt"] = claude_asking.first(assignment.prompt)
            return Launch(argv=argv, env=ENVIRONMENT, files=files, stdin="prompt", talks=True)
        files["prompt"] = assignment.prompt.encode(errors="replace")
        return Launch(argv=argv, env=ENVIRONMENT, files=files, stdin="prompt")

    def offered(self, launch: Launch, server: ToolServer, env: Mapping[str, str]) -> tuple[Launch, Mapping[str, str]]:
        """Beside its user's own servers; its tools are at hand from the start, and not asked for."""
        program, *args = server.command
        one = {"type": "stdio", "command": program, "args": args, "alwaysLoad": True, "timeout": TOOL_MS}
        content = json.dumps({"mcpServers": {server.name: one}}).encode()
        argv = [*launch.argv, "--mcp-config", str(server.run_dir / SERVERS), "--allowedTools", f"mcp__{server.name}"]
        return replace(launch, argv=argv, files={**launch.files, SERVERS: content}), {}

    def answer(self, request: Request, told: Told) -> bytes:
        return claude_asking.answer(request, told)

    def version_command(self, settings: AgentSettings) -> list[str]:
        return [*(settings.command or ["claude"]), "--version"]

    def interactive(self, assignment: Assignment) -> Launch:
        """Its own screen on the same session, with the same permissions as its attempts have; it asks there."""
        if assignment.resumes is None:
            raise UsageError("claude: there is no session to go on with")
        argv = [*_command(assignment.settings), "--resume", _session(assignment.resumes), *_options(assignment)]
        return Launch(argv=argv, env={"DISABLE_AUTOUPDATER": "1"})

    def record(self, env: Mapping[str, str]) -> str | None:
        """Its file of the session: what an answer used to its end is told there alone."""
        root = env.get("CLAUDE_CONFIG_DIR") or (f"{env['HOME']}/.claude" if env.get("HOME") else None)
        return f"{glob.escape(root)}/projects/*/{{session}}.jsonl" if root else None

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return ClaudeParser()


def _command(settings: AgentSettings) -> list[str]:
    command = list(settings.command or ["claude"])
    _refuse(settings)
    return [*command, *settings.args]


def _options(assignment: Assignment) -> list[str]:
    """Model and permissions: not remembered with a session, so they are given each time."""
    settings = assignment.settings
    options = ["--model", _word(assignment.model, "model")] if assignment.model else []
    options += _permissions(assignment)
    if settings.allowed_tools:
        options += ["--allowedTools", *(_word(tool, "allowed_tools") for tool in settings.allowed_tools)]
    return options


def _permissions(assignment: Assignment) -> list[str]:
    """What it may do unasked. An agent that asks is asked for edits too, unless its mode says otherwise."""
    mode = assignment.settings.permission_mode
    match assignment.permission:
        case Permission.BYPASS:
            return ["--dangerously-skip-permissions"]
        case Permission.ASK:
            return ["--permission-mode", _word(mode or "default", "permission_mode")]
        case Permission.PRESET:
            return ["--permission-mode", _word(mode or "acceptEdits", "permission_mode")]


def _refuse(settings: AgentSettings) -> None:
    for word in (*(settings.command or ()), *settings.args, settings.permission_mode or ""):
        if "dangerously-skip-permissions" in word or "bypassPermissions" in word:
            raise SettingError(
                ("agents", "claude", key_of(word, settings)),
                f"{word!r} lets the agent do anything on this machine: remove it. "
                "Where that is meant, say so for the project: allow_bypass: true and permission: bypass",
            )
    for arg in settings.args:
        if why := RESERVED.get(arg.partition("=")[0]):
            raise SettingError(("agents", "claude", "args"), f"remove {arg!r}: {why}")


def _session(name: str) -> str:
    try:
        return str(UUID(name))
    except ValueError:
        raise UsageError(f"claude: the session {name!r} is not a UUID") from None


def _word(value: str, what: str) -> str:
    if value.startswith("-"):
        raise UsageError(f"agents.claude: {what} {value!r} would be read as an option")
    return value
