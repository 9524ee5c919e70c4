"""What headway.yaml says of agents, their providers and their accounts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.config.keys import KeyReference
from engine.config.mcp import Offer
from engine.config.pacing import Pacing
from engine.config.sandbox import Sandbox
from engine.config.tap import TapSettings
from engine.documents import Complaint, nearest
from engine.model import TAG, Permission

if TYPE_CHECKING:
    from engine.config.settings import Settings

Slots = Annotated[int, Meta(ge=0, le=10_000)]

#: Names that every agent may see of the engine's own environment. All else starts empty.
BASE_ENVIRONMENT = (
    "HOME", "PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


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
    max_running: Slots | None = None
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
    sandbox: Sandbox | None = None
    """Likewise."""
    recall: bool | None = None
    """Whether its jobs are told what is known, likewise."""
    mcp: Offer | None = None
    """The tools of Headway that it is given: all that the others allow, none, or these."""


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
    max_running: Slots | None = None
    tap: bool | TapSettings = False
    """Its calls pass through the engine, which reads limits and tokens off the answers. Only with a `key`."""
    pacing: Pacing | None = None
    """Its own word, where it differs from everybody's."""


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with agents, their providers and their accounts. `agents` are the names of those that exist."""
    for name, one in settings.agents.items():
        if name not in agents:
            yield ("agents", name), f"there is no agent {name!r}; {nearest(name, agents)}"
        if one.permission is Permission.BYPASS:
            yield ("agents", name, "permission"), "bypass is said for a project, with allow_bypass: true, or for a job"
        yield from checks.variables(("agents", name), one.env, one.pass_env)
        yield from checks.spans(("agents", name), one, "timeout", "stall")
        yield from checks.sizes(("agents", name), one, "memory")
        for provider, asked in one.providers.items():
            yield from checks.key(("agents", name, "providers", provider, "key"), asked.key)
            yield from checks.spans(("agents", name, "providers", provider), asked, "idle")
            if asked.base_url is not None and checks.split_address(asked.base_url) is None:
                yield ("agents", name, "providers", provider, "base_url"), "it is no address; write https://HOST/PATH"
        if one.sessions is not None:
            yield from checks.spans(("agents", name, "sessions"), one.sessions, "max_age")
    for name, account in settings.accounts.items():
        yield from _of_account(("accounts", name), account, agents)


def _of_account(keys: tuple[str, str], account: AccountSettings, agents: Collection[str]) -> Iterator[Complaint]:
    if account.agent not in agents:
        yield (*keys, "agent"), f"there is no agent {account.agent!r}; {nearest(account.agent, agents)}"
    if not re.fullmatch(TAG, keys[1]):
        yield keys, "a name is made of letters, digits and . _ / -"
    yield from checks.variables(keys, account.env, account.pass_env)
    yield from checks.key((*keys, "key"), account.key)
    if account.config_dir is not None and not checks.is_whole(account.config_dir):
        yield (*keys, "config_dir"), "it has to be an absolute path, or begin with ~"
