"""opencode 1.18: its command line. What it prints is read by `opencode_parser`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.agents.arguments import below, one_of, refuse, unsafe, word
from engine.agents.base import STANDING, Agent, Assignment, Launch, Parser, ToolServer
from engine.agents.opencode_parser import OpencodeParser
from engine.config import AgentSettings
from engine.errors import SettingError, UsageError

#: What it may do to files in its directory unasked; the first is the default.
MODES = ("edit", "plan")
#: What is not offered to the model unless `allowed_tools` names it. In a headless run "ask" is no question but the end
#: of the run, with exit 0.
CLOSED = ("bash", "webfetch", "websearch", "external_directory", "doom_loop")
#: `bash`, or `bash(git *)`.
RULE = re.compile(r"(?P<tool>[A-Za-z0-9_*-]+)(?:\((?P<pattern>[^()]+)\))?")

CONTENT, PERMISSION = "OPENCODE_CONFIG_CONTENT", "OPENCODE_PERMISSION"
TOOL_MS = (1 << 31) - 1  #: for one call of a tool: a person may take their time, and a timer of Node no more

_OWN = "it has a setting of its own"
RESERVED = {
    "--": "the prompt goes to standard input",
    **dict.fromkeys(("-m", "--model"), _OWN),
    **dict.fromkeys(("--format",), "Headway reads its JSON"),
    **dict.fromkeys(("-c", "--continue", "-s", "--session", "--fork", "--share"), "Headway keeps the sessions"),
    **dict.fromkeys(("--attach", "-i", "--interactive", "--command"), "the run would leave Headway's hands"),
    **dict.fromkeys(("--dir",), "Headway makes the workspace"),
}


class Opencode(Agent):
    """It takes no end to its waiting: on a stalled or a limited provider it is silent until the stall clock ends it.

    In each of its configuration folders without `@opencode-ai/plugin` it runs npm at every start. Without a network
    that hangs beside its work and swallows SIGTERM, so that only the kill after the grace period ends it.
    """

    name = "opencode"
    resumable = True
    provider = True
    takes_tools = True
    stall_seconds = 900
    package = "opencode-ai"
    footprint = 600 << 20  # the tree of 1.18 was seen at 580 MB
    skill_folders = (".agents/skills",)
    appended_by = CONTENT
    sheets = ("AGENTS.md",)
    pass_env = (
        "OPENCODE_API_KEY", "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD", "OPENCODE_DISABLE_DEFAULT_PLUGINS",
        "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY",
        "GROQ_API_KEY", "MISTRAL_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY", "GITHUB_TOKEN", "AZURE_API_KEY",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
        "AWS_BEARER_TOKEN_BEDROCK", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "VERTEX_LOCATION",
    )  # fmt: skip

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        provider, slash, _ = (model or "").partition("/")
        return provider if slash else None  # its own default is in its configuration

    def personal_skills(self, env: Mapping[str, str]) -> Sequence[str]:
        own = below(env, ("XDG_CONFIG_HOME", "opencode/skills"), ("HOME", ".config/opencode/skills"))
        return [*own, *below(env, ("HOME", ".claude/skills")), *below(env, ("HOME", ".agents/skills"))]

    def own_folders(self, env: Mapping[str, str]) -> Sequence[str]:
        places = {"CONFIG": ".config", "DATA": ".local/share", "STATE": ".local/state", "CACHE": ".cache"}
        found = [
            below(env, (f"XDG_{kind}_HOME", "opencode"), ("HOME", f"{at}/opencode")) for kind, at in places.items()
        ]
        return [folder for one in found for folder in one]

    def appends(self, settings: AgentSettings, env: Mapping[str, str]) -> bool:
        """A configuration in its environment may name further instructions, beside what the operator has there."""
        try:
            return isinstance(written_content(env).get("instructions", []), list)
        except UsageError:
            return False

    def instructed(self, path: str, env: Mapping[str, str]) -> Mapping[str, str]:
        content = written_content(env)
        return {CONTENT: json.dumps({**content, "instructions": [*content.get("instructions", []), path]})}

    def check(self, settings: AgentSettings) -> None:
        one_of(self.name, settings.permission_mode, MODES)
        permission(settings)
        for arg in (*(settings.command or []), *settings.args):
            if arg.partition("=")[0] == "--auto":
                raise unsafe(self.name, arg, settings)
        if "OPENCODE_PERMISSION" in settings.env:
            raise SettingError(
                ("agents", self.name, "env"), "remove OPENCODE_PERMISSION: permission_mode and allowed_tools say it"
            )
        refuse(self.name, settings.args, RESERVED, clusters=True)

    def launch(self, assignment: Assignment) -> Launch:
        """The permissions stand in the environment, which has the last word over every configuration file."""
        settings = assignment.settings
        self.check(settings)
        argv = [*(settings.command or ["opencode"]), "run", *settings.args, "--format", "json"]
        if assignment.resumes is not None:
            # Only ever in the directory it was in: from another one it works, prints nothing and never ends.
            argv += ["--session", word(self.name, assignment.resumes, "session")]
        if assignment.model:
            argv += ["--model", word(self.name, assignment.model, "model")]
        files = {"prompt": assignment.prompt.encode(errors="replace")}
        if assignment.standing:
            files[STANDING] = assignment.standing.encode(errors="replace")
        return Launch(argv=argv, env=_env(settings), files=files, stdin="prompt")

    def offered(self, launch: Launch, server: ToolServer, env: Mapping[str, str]) -> tuple[Launch, Mapping[str, str]]:
        """Among what its environment tells it of configuration, which is laid over that of its files."""
        content = written_content(env)
        servers = content.setdefault("mcp", {})
        if not isinstance(servers, dict):
            raise UsageError(f"opencode: {CONTENT} is not as opencode has it, at mcp")
        servers[server.name] = {"type": "local", "command": list(server.command), "enabled": True, "timeout": TOOL_MS}
        rules = {**json.loads(launch.env[PERMISSION]), f"{server.name}_*": "allow"}
        return launch, {CONTENT: json.dumps(content), PERMISSION: json.dumps(rules)}

    def version_command(self, settings: AgentSettings) -> list[str]:
        return [*(settings.command or ["opencode"]), "--version"]

    def interactive(self, assignment: Assignment) -> Launch:
        """Its own screen on the session, with the permissions that its attempts have."""
        settings = assignment.settings
        self.check(settings)
        if assignment.resumes is None:
            raise UsageError("opencode: there is no session to go on with")
        argv = [*(settings.command or ["opencode"]), *settings.args]
        argv += ["--session", word(self.name, assignment.resumes, "session")]
        if assignment.model:
            argv += ["--model", word(self.name, assignment.model, "model")]
        return Launch(argv=argv, env=_env(settings))

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return OpencodeParser(self.name, model=model, resumed=resumed)


def written_content(env: Mapping[str, str]) -> dict[str, Any]:
    """What opencode is given as configuration by its environment. Raises `UsageError`."""
    try:
        found = json.loads(env.get(CONTENT) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"opencode: {CONTENT} is no JSON object, so that nothing can be added to it")
    return found


def _env(settings: AgentSettings) -> dict[str, str]:
    return {PERMISSION: json.dumps(permission(settings)), "OPENCODE_DISABLE_AUTOUPDATE": "1"}


def permission(settings: AgentSettings) -> dict[str, str | dict[str, str]]:
    """opencode's own permission rules, by tool: allow or deny, or patterns, of which the last that fits counts.

    A tool that is denied outright is not offered to the model at all.
    """
    rules: dict[str, str | dict[str, str]] = dict.fromkeys(CLOSED, "deny")
    rules["edit"] = "allow" if one_of("opencode", settings.permission_mode, MODES) == "edit" else "deny"
    for tool, pattern in _rules(settings):
        before = rules.get(tool, "deny")
        if pattern is None:
            rules[tool] = "allow"
        elif before != "allow":
            rules[tool] = {**(before if isinstance(before, dict) else {"*": "deny"}), pattern: "allow"}
    return rules


def _rules(settings: AgentSettings) -> list[tuple[str, str | None]]:
    rules = []
    for rule in settings.allowed_tools:
        found = RULE.fullmatch(rule)
        if found is None:
            raise SettingError(("agents", "opencode", "allowed_tools"), f"{rule!r} is neither a tool nor TOOL(PATTERN)")
        if found["tool"] == "*":
            raise unsafe("opencode", rule, settings)
        rules.append((found["tool"], found["pattern"]))
    return rules
