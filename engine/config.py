"""headway.yaml -> Settings. Every error names file, line, key, and the nearest valid word."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.decision import Effect
from engine.documents import line_of, nearest, parse
from engine.errors import UsageError
from engine.model import ALL, SCOPES, TAG, Permission, Workspace
from engine.units import milliseconds, size

_Slots = Annotated[int, Meta(ge=0, le=10_000)]

#: Names that every agent may see of the engine's own environment. All else starts empty.
BASE_ENVIRONMENT = (
    "HOME", "PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


class KeyReference(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a key is kept, in exactly one way. The key itself stands nowhere in Headway."""

    env: str | None = None
    """The name of a variable of the engine's environment."""
    file: str | None = None
    """A file that holds it and nothing else."""
    command: list[str] | None = None
    """A program that prints it, such as that of a password manager."""
    variable: str | None = None
    """The variable in which the agent takes it, where that is not its usual one."""


class Api(StrEnum):
    """What a provider of model calls speaks."""

    MESSAGES = "messages"
    """Anthropic's."""
    RESPONSES = "responses"
    """OpenAI's."""
    CHAT = "chat"
    """OpenAI's older one, which all compatible servers speak."""
    GEMINI = "gemini"
    """Google's."""


class ProviderSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A service that the agent `llm` asks: a further one, or one that it knows, changed."""

    speaks: Api | None = None
    base_url: str | None = None
    key: KeyReference | None = None
    """Unset: the provider's own variable, or none for one that Headway does not know."""
    idle: str | int = "5m"
    """For how long it may send nothing."""


class SessionSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a conversation has served long enough: instead of going on in it, a job begins a new one with a hand-off."""

    max_age: str | int | None = None
    """Since it was begun."""
    max_turns: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Calls of the model."""
    max_context: Annotated[float, Meta(gt=0, le=1)] | None = None
    """How full the model's window may be, where the agent tells."""
    handoff_tokens: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    """What a hand-off may take of the new session, about; 0 is none, and unset is 4,000."""


class AgentSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One agent, as headway.yaml may change it. An unset field takes the adapter's own default."""

    command: list[str] | None = None
    """The program and its first arguments, for a build that is not on PATH or needs a wrapper."""
    args: list[str] = field(default_factory=list)
    """Further arguments, put before Headway's own."""
    model: str | None = None
    max_running: _Slots | None = None
    env: dict[str, str] = field(default_factory=dict)
    """Set for the agent. Keep keys out of here: name them in `pass_env` instead."""
    pass_env: list[str] = field(default_factory=list)
    """Names passed on from the engine's environment."""
    permission: Permission | None = None
    """Who decides whether it may use a tool, where neither job nor project says so."""
    permission_mode: str | None = None
    allowed_tools: list[str] = field(default_factory=list)
    linger: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    """Seconds that a process may live on after it said that it is done, before it is stopped."""
    timeout: str | int | None = None
    """How long an attempt may take; a job may say otherwise."""
    stall: str | int | None = None
    """How long it may go without an event. An unset one takes the adapter's own; 0 is for ever."""
    memory: str | int | None = None
    """What an attempt's processes may hold together before it is stopped."""
    system: str | None = None
    """The system prompt, for jobs that name none. This and what follows is for `llm` alone."""
    schema: dict[str, object] | None = None
    """The JSON Schema of the answer, likewise."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    """The longest answer."""
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    sessions: SessionSettings | None = None
    """Its own word, where it differs from everybody's."""


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another set of credentials for an agent: a login of its own, a key, or variables on top of the agent's own.

    With a login or a key, none of the agent's other credentials reaches it, so that no other account can pay.
    """

    agent: str
    config_dir: str | None = None
    """The agent's own folder of configuration, with the login that was made in it."""
    key: KeyReference | None = None
    provider: str | None = None
    """Whose key it is, for an agent that asks several."""
    env: dict[str, str] = field(default_factory=dict)
    """Such as `CLAUDE_CONFIG_DIR`. Keep keys out of here: name them in `pass_env` instead."""
    pass_env: list[str] = field(default_factory=list)
    max_running: _Slots | None = None


class RetryBudget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often the engine itself may try again on one account, however many jobs ask for it."""

    burst: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """So many at once."""
    every: str | int = "30s"
    """Then one in this time."""


class Upkeep(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the engine clears away by itself. Everything else waits for `headway prune`."""

    compress_after: str | int = "1d"
    """Output of attempts that ended so long ago is kept as gzip."""
    runs_for: str | int | None = None
    """Run directories are removed so long after their end; unset is never."""
    worktrees_for: str | int | None = None
    """Worktrees of ended jobs are moved to the quarantine so long after; unset is never."""
    quarantine_for: str | int = "30d"
    """What was moved there is removed so long after."""


class RuleSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A standing answer to requests for a tool. `engine.permission` says what it matches."""

    tool: Annotated[str, Meta(min_length=1)]
    pattern: Annotated[str, Meta(min_length=1)] = "*"
    effect: Effect = Effect.ALLOW
    project: str | None = None
    """A project's name in the settings, or a directory; unset is every one."""


class Permissions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of an agent's requests for permission."""

    timeout: str | int = "30m"
    """Unanswered so long, the default is taken; 0 is never."""
    default: Effect = Effect.DENY
    rules: list[RuleSettings] = field(default_factory=list)


class ProjectSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A named directory."""

    path: str
    workspace: Workspace = Workspace.WORKTREE
    share: Annotated[float, Meta(gt=0, le=1_000)] = 1.0
    """Its weight where several projects want the same slots."""
    max_running: _Slots | None = None
    permission: Permission | None = None
    """Who decides whether agents that can ask may use a tool."""
    allow_bypass: bool = False
    """Jobs of this project may run with `permission: bypass`: their agents can do anything on this machine."""

    @property
    def directory(self) -> str:
        """Its path, with the `~` of somebody known replaced."""
        with contextlib.suppress(RuntimeError):
            return str(Path(self.path).expanduser())
        return self.path


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that headway.yaml can say."""

    max_running: _Slots = 8
    """Attempts at once, over all agents."""
    default_agent: str = "claude"
    grace: Annotated[float, Meta(ge=0, le=600)] = 10.0
    """Seconds between asking an agent to stop and killing what is left of it."""
    agents: dict[str, AgentSettings] = field(default_factory=dict)
    accounts: dict[str, AccountSettings] = field(default_factory=dict)
    projects: dict[str, ProjectSettings] = field(default_factory=dict)
    caps: dict[str, _Slots] = field(default_factory=dict)
    """Further caps, by scope: `tag:gpu`, `target:claude:opus@work`, `account:claude@work`."""
    ageing: str | int = "1h"
    """A job that waits so long while its project gets nothing goes up by one priority; 0 is never."""
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    """Attempts of a job before the engine gives up. Waits for a limit do not count."""
    timeout: str | int | None = None
    """How long an attempt may take, where neither its job nor its agent says so."""
    stall: str | int | None = None
    """How long it may go without an event, likewise."""
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    memory_reserve: str | int = "512M"
    """What has to stay free for the rest of the machine: with less, nothing new starts."""
    upkeep: Upkeep = field(default_factory=Upkeep)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    permissions: Permissions = field(default_factory=Permissions)
    theme: str | None = None
    keys: dict[str, str] = field(default_factory=dict)
    """Console keys moved to others: action -> key."""

    def agent(self, name: str) -> AgentSettings:
        return self.agents.get(name) or AgentSettings()


FILE = "headway.yaml"


def find_settings(home: Path, config_home: Path) -> Path | None:
    """The settings file: in the home, else in `$XDG_CONFIG_HOME/headway/`."""
    for candidate in (home / FILE, config_home / "headway" / FILE):
        if candidate.is_file():
            return candidate
    return None


def load_settings(path: Path | None, agents: Iterable[str]) -> Settings:
    """Read the settings, raising `UsageError` with file, line, key and the nearest valid word.

    `agents` are the names of the agents that exist.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    settings = parse(text, str(path), Settings)
    for keys, complaint in _complaints(settings, sorted(agents)):
        raise UsageError(f"{path}, line {line_of(text, *keys)}: {'.'.join(keys)}: {complaint}")
    return settings


def _complaints(settings: Settings, agents: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong beyond the types: the keys that lead to it, and why."""
    for name, one in settings.agents.items():
        if name not in agents:
            yield ("agents", name), f"there is no agent {name!r}; {nearest(name, agents)}"
        yield from _variables(("agents", name), one.env, one.pass_env)
        yield from _units(("agents", name), one)
        for provider, asked in one.providers.items():
            yield from _key(("agents", name, "providers", provider, "key"), asked.key)
            yield from _units(("agents", name, "providers", provider), asked)
        if one.sessions is not None:
            yield from _units(("agents", name, "sessions"), one.sessions)
    if settings.default_agent not in agents:
        wrong = settings.default_agent
        yield ("default_agent",), f"there is no agent {wrong!r}; {nearest(wrong, agents)}"
    for name, account in settings.accounts.items():
        if account.agent not in agents:
            yield ("accounts", name, "agent"), f"there is no agent {account.agent!r}; {nearest(account.agent, agents)}"
        if not re.fullmatch(TAG, name):
            yield ("accounts", name), "a name is made of letters, digits and . _ / -"
        yield from _variables(("accounts", name), account.env, account.pass_env)
        yield from _key(("accounts", name, "key"), account.key)
        if account.config_dir is not None and not _is_whole(account.config_dir):
            yield ("accounts", name, "config_dir"), "it has to be an absolute path, or begin with ~"
    for scope in settings.caps:
        kind, _, rest = scope.partition(":")
        if scope != ALL and (kind not in SCOPES or not rest):
            yield ("caps", scope), f"a scope is {ALL} or one of {', '.join(f'{one}:NAME' for one in SCOPES)}"
    for rule in settings.permissions.rules:
        if rule.project is not None and rule.project not in settings.projects and not rule.project.startswith("/"):
            hint = nearest(rule.project, settings.projects) if settings.projects else "give its directory"
            yield ("permissions", "rules"), f"there is no project {rule.project!r}; {hint}"
    yield from _bypasses(settings)
    yield from _units(("permissions",), settings.permissions)
    yield from _units((), settings)
    yield from _units(("retry_budget",), settings.retry_budget)
    yield from _units(("upkeep",), settings.upkeep)
    yield from _units(("sessions",), settings.sessions)


def _bypasses(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Who may do anything has to be named where it is said for which project."""
    for name, project in settings.projects.items():
        if project.permission is Permission.BYPASS and not project.allow_bypass:
            yield ("projects", name, "permission"), "bypass lets agents do anything; it also needs allow_bypass: true"
    for name, agent in settings.agents.items():
        if agent.permission is Permission.BYPASS:
            yield ("agents", name, "permission"), "bypass is said for a project, with allow_bypass: true, or for a job"


def _key(keys: tuple[str, ...], key: KeyReference | None) -> Iterator[tuple[tuple[str, ...], str]]:
    if key is None:
        return
    if sum(way is not None for way in (key.env, key.file, key.command)) != 1 or key.command == []:
        yield keys, "say where it is kept, in one way: env: NAME, file: PATH or command: [PROGRAM, ...]"
    if key.file is not None and not _is_whole(key.file):
        yield (*keys, "file"), "it has to be an absolute path, or begin with ~"
    for name, variable in (("env", key.env), ("variable", key.variable)):
        if variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            yield (*keys, name), "it has to be the name of a variable; the key itself does not belong here"


def _is_whole(path: str) -> bool:
    return path.startswith(("/", "~"))


_SPANS = (
    "timeout",
    "stall",
    "ageing",
    "every",
    "compress_after",
    "runs_for",
    "worktrees_for",
    "quarantine_for",
    "idle",
    "max_age",
)
_SIZES = ("memory", "memory_reserve")


def _units(keys: tuple[str, ...], one: Struct) -> Iterator[tuple[tuple[str, ...], str]]:
    for names, read in ((_SPANS, milliseconds), (_SIZES, size)):
        for name in names:
            value = getattr(one, name, None)
            if value is None:
                continue
            try:
                read(value)
            except ValueError as error:
                yield (*keys, name), str(error)


def _variables(keys: tuple[str, ...], env: dict[str, str], passed: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    for variable in (*env, *passed):
        if not variable or "=" in variable or "\0" in variable + env.get(variable, ""):
            yield keys, f"{variable!r} is no name of a variable"
