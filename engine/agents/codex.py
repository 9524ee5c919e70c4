"""Codex CLI 0.169: its command line. What it prints is read by `codex_parser`."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.agents.addresses import provider_at
from engine.agents.arguments import below, one_of, refuse, unsafe, uuid, word
from engine.agents.base import Agent, Assignment, Launch, Parser, ToolServer
from engine.agents.codex_parser import CodexParser
from engine.config import AgentSettings
from engine.errors import SettingError, UsageError

#: What the sandbox around its commands lets them do; the first is the default. Without a sandbox is refused.
MODES = ("workspace-write", "read-only")

TOOL_SECONDS = 7 * 86_400  #: for one call of a tool: a person may take their time

_OWN = "it has a setting of its own"
_SESSIONS = "Headway keeps the sessions"
RESERVED = {
    "--": "the prompt goes to standard input",
    **dict.fromkeys(("-s", "--sandbox", "-m", "--model"), _OWN),
    **dict.fromkeys(("--json", "--output-last-message", "-o", "--color"), "Headway reads its JSON"),
    **dict.fromkeys(("exec", "resume", "fork", "review", "--last", "--all", "--ephemeral"), _SESSIONS),
    **dict.fromkeys(("-C", "--cd", "--worktree"), "Headway makes the workspace"),
}
#: Options that leave the sandbox, or lend its trust to what the project says.
UNSAFE = re.compile(r"dangerously-bypass|danger-full-access|^--(yolo|full-auto|approve-for-me|trust)$")
#: What may not be set by `-c` either.
UNSAFE_KEYS = re.compile(
    r"^(sandbox_mode|sandbox_permissions|approval_policy|approvals_reviewer|default_permissions|permissions|projects)\b"
)


class Codex(Agent):
    """It reads the prompt to the end of standard input, and blocks on one that stays open: it gets a file.

    Its retries can only be bounded for a provider that is known by name, and the built-in one takes no changes, so
    what bounds them here is the stall clock: it sleeps through an hour's `retry-after`, and waits for a network or for
    a first byte for ever. The same clock must not cut a long command, during which it is silent too.
    """

    name = "codex"
    resumable = True
    provider = True
    takes_tools = True
    stall_seconds = 900
    package = "@openai/codex"
    footprint = 180 << 20  # the whole tree of 0.169 was seen at 140 MB, and 178 behind its wrapper
    skill_folders = (".agents/skills",)
    sheets = ("AGENTS.md", "AGENTS.override.md")
    pass_env = (
        "CODEX_HOME", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_CA_CERTIFICATE",
        "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORGANIZATION", "OPENAI_PROJECT",
        "AZURE_OPENAI_API_KEY", "OLLAMA_HOST", "DO_NOT_TRACK",
    )  # fmt: skip

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        return provider_at(env.get("OPENAI_BASE_URL"), "openai")

    def personal_skills(self, env: Mapping[str, str]) -> Sequence[str]:
        own = below(env, ("CODEX_HOME", "skills"), ("HOME", ".codex/skills"))
        return [*own, *below(env, ("HOME", ".agents/skills"))]

    def own_folders(self, env: Mapping[str, str]) -> Sequence[str]:
        return [env["CODEX_HOME"]] if env.get("CODEX_HOME") else below(env, ("HOME", ".codex"))

    def check(self, settings: AgentSettings) -> None:
        one_of(self.name, settings.permission_mode, MODES)
        if settings.allowed_tools:
            why = "it means nothing to codex: its sandbox bounds all of its tools"
            raise SettingError(("agents", self.name, "allowed_tools"), why)
        _refuse_unsafe(settings)
        refuse(self.name, settings.args, RESERVED)

    def launch(self, assignment: Assignment) -> Launch:
        """The sandbox stands before `resume`: codex does not remember it, and goes on read-only, without a word."""
        settings = assignment.settings
        self.check(settings)
        mode = one_of(self.name, settings.permission_mode, MODES)
        argv = [*(settings.command or ["codex"]), "exec", *settings.args, "--json", "--skip-git-repo-check", "-s", mode]
        if assignment.model:
            argv += ["-m", word(self.name, assignment.model, "model")]
        if assignment.resumes is not None:
            # By UUID alone: `--last`, or any other word, silently begins a new session.
            argv += ["resume", uuid(self.name, assignment.resumes)]
        prompt = assignment.prompt.encode(errors="replace")
        return Launch(argv=[*argv, "-"], files={"prompt": prompt}, stdin="prompt")

    def offered(self, launch: Launch, server: ToolServer, env: Mapping[str, str]) -> tuple[Launch, Mapping[str, str]]:
        """Beside its user's own servers. They run outside of the sandbox; this one's tools are not asked for."""
        program, *args = server.command
        # JSON's strings and lists are TOML's too.
        said = {
            "command": json.dumps(program),
            "args": json.dumps(args),
            "tool_timeout_sec": str(TOOL_SECONDS),
            "default_tools_approval_mode": '"approve"',
        }
        options = [word for key, value in said.items() for word in ("-c", f"mcp_servers.{server.name}.{key}={value}")]
        at = list(launch.argv).index("--json")
        return replace(launch, argv=[*launch.argv[:at], *options, *launch.argv[at:]]), {}

    def version_command(self, settings: AgentSettings) -> list[str]:
        return [*(settings.command or ["codex"]), "--version"]

    def interactive(self, assignment: Assignment) -> Launch:
        """Its own screen on the thread, in the sandbox that its attempts have."""
        settings = assignment.settings
        self.check(settings)
        if assignment.resumes is None:
            raise UsageError("codex: there is no session to go on with")
        argv = [*(settings.command or ["codex"]), *settings.args, "resume"]
        argv += ["-s", one_of(self.name, settings.permission_mode, MODES)]
        if assignment.model:
            argv += ["-m", word(self.name, assignment.model, "model")]
        return Launch(argv=[*argv, uuid(self.name, assignment.resumes)])

    def record(self, env: Mapping[str, str]) -> str | None:
        """The rollout: alone in it are the windows, the class of a failure and what each turn used."""
        home = env.get("CODEX_HOME") or (f"{env['HOME']}/.codex" if env.get("HOME") else None)
        return f"{glob.escape(home)}/sessions/*/*/*/rollout-*-{{session}}.jsonl" if home else None

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return CodexParser(self.name, model=model, resumed=resumed)


def _refuse_unsafe(settings: AgentSettings) -> None:
    words = (*(settings.command or []), *settings.args, settings.permission_mode or "")
    for one in words:
        if UNSAFE.search(one):
            raise unsafe("codex", one, settings)
    for option, value in zip(words, (*words[1:], ""), strict=True):
        if option in ("-c", "--config"):
            key = value
        elif option.startswith(("-c", "--config=")):
            key = option.removeprefix("--config=").removeprefix("-c").removeprefix("=")
        else:
            continue
        if UNSAFE_KEYS.match(key.strip().strip('"')):
            raise unsafe("codex", key, settings)
