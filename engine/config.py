"""headway.yaml -> Settings. Every error names file, line, key, and the nearest valid word."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.documents import line_of, nearest, parse
from engine.errors import UsageError
from engine.model import Workspace

_Slots = Annotated[int, Meta(ge=0, le=10_000)]

#: Names that every agent may see of the engine's own environment. All else starts empty.
BASE_ENVIRONMENT = (
    "HOME", "PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


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
    permission_mode: str | None = None
    allowed_tools: list[str] = field(default_factory=list)
    linger: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    """Seconds that a process may live on after it said that it is done, before it is stopped."""


class ProjectSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A named directory."""

    path: str
    workspace: Workspace = Workspace.WORKTREE


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that headway.yaml can say."""

    max_running: _Slots = 8
    """Attempts at once, over all agents."""
    default_agent: str = "claude"
    grace: Annotated[float, Meta(ge=0, le=600)] = 10.0
    """Seconds between asking an agent to stop and killing what is left of it."""
    agents: dict[str, AgentSettings] = field(default_factory=dict)
    projects: dict[str, ProjectSettings] = field(default_factory=dict)
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
    names = sorted(agents)
    for name, one in settings.agents.items():
        for variable in (*one.env, *one.pass_env):
            if not variable or "=" in variable or "\0" in variable + one.env.get(variable, ""):
                line = line_of(text, "agents", name)
                raise UsageError(f"{path}, line {line}: agents.{name}: {variable!r} is no name of a variable")
    named = [("agents", name) for name in settings.agents] + [("default_agent",)]
    for keys in named:
        name = keys[-1] if len(keys) > 1 else settings.default_agent
        if name not in names:
            line = line_of(text, *keys)
            raise UsageError(f"{path}, line {line}: {keys[0]}: there is no agent {name!r}; {nearest(name, names)}")
    return settings
