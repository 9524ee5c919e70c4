"""How each agent is led to its provider by way of another address: one table. Pure.

The names are the programs' own: code.claude.com/docs (ANTHROPIC_BASE_URL), developers.openai.com/codex
(openai_base_url), opencode.ai/docs/providers (options.baseURL); GOOGLE_GEMINI_BASE_URL is Gemini CLI's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.agents.base import Launch
from engine.agents.logins import LOGINS
from engine.config import AccountSettings
from engine.config.tap import TapSettings
from engine.documents import Complaint
from engine.errors import UsageError

#: Variables that hold the login of a subscription, or that of a cloud which signs its requests.
_LOGINS = ("OAUTH", "ACCESS_TOKEN", "AUTH_TOKEN", "AWS_", "GOOGLE_APPLICATION_CREDENTIALS", "GITHUB_TOKEN")
#: Where a variable may say that the provider is somewhere else.
_VARIABLES = {"claude": "ANTHROPIC_BASE_URL", "codex": "OPENAI_BASE_URL", "gemini": "GOOGLE_GEMINI_BASE_URL"}
_UPSTREAMS = {
    "claude": "https://api.anthropic.com",
    "codex": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com",
}
#: Of opencode, by the provider that stands before the / of a model.
_OPENCODE = {
    "anthropic": "https://api.anthropic.com/v1",
    "openai": "https://api.openai.com/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "xai": "https://api.x.ai/v1",
}
_RETRIES, _PATIENT = "CLAUDE_CODE_MAX_RETRIES", "10"  #: its own default: three minutes
_CONTENT = "OPENCODE_CONFIG_CONTENT"
TAPPED = ("claude", "codex", "gemini", "opencode")


def complaints(name: str, account: AccountSettings) -> Iterator[Complaint]:
    """Why an account cannot be tapped."""
    if not account.tap:
        return
    keys = ("accounts", name, "tap")
    if account.agent == "llm":
        yield keys, "llm reads its provider's limits itself; remove tap"
    elif account.agent not in TAPPED:
        yield keys, f"{account.agent} cannot be tapped; that is for {', '.join(TAPPED)}"
    elif account.key is not None:
        variable = account.key.variable or LOGINS[account.agent].key or ""
        if any(word in variable for word in _LOGINS):
            yield keys, f"{variable} holds a login and no API key: a login goes to its provider alone; remove tap"


def upstream(agent: str, account: AccountSettings, model: str | None, env: Mapping[str, str]) -> str:
    """Where the calls of an attempt would go without a tap. `env`: that of the attempt. Raises `UsageError`."""
    if (said := said_upstream(account)) is not None:
        return said
    if agent == "opencode":
        provider = _provider(model, _content(env))
        found = _options(_content(env), provider).get("baseURL") or _OPENCODE.get(provider)
        if not isinstance(found, str):
            raise UsageError(
                f"opencode: it is not known where {provider} is; say it in headway.yaml, by tap: upstream:"
            )
        return found
    return env.get(_VARIABLES.get(agent, "")) or _UPSTREAMS[agent]


def said_upstream(account: AccountSettings) -> str | None:
    """Where an account's tap is said to lead, whatever else says where its provider is."""
    return account.tap.upstream if isinstance(account.tap, TapSettings) else None


def led(
    agent: str, launch: Launch, model: str | None, env: Mapping[str, str], url: str
) -> tuple[Launch, dict[str, str]]:
    """The command line that calls `url` instead, and the variables that say so: they have the last word."""
    direct = {name: ",".join(filter(None, (env.get(name), "127.0.0.1"))) for name in ("NO_PROXY", "no_proxy")}
    if agent == "codex":
        at = list(launch.argv).index("--json")
        said = ["-c", f"openai_base_url={json.dumps(url)}"]
        return replace(launch, argv=[*launch.argv[:at], *said, *launch.argv[at:]]), direct
    if agent == "opencode":
        content = _content(env)
        _options(content, _provider(model, content))["baseURL"] = url
        return launch, {**direct, _CONTENT: json.dumps(content)}
    if agent == "claude" and env.get(_RETRIES) == launch.env.get(_RETRIES):
        direct[_RETRIES] = _PATIENT  # what it waits for is seen now, and an engine may be away for a while
    return launch, {**direct, _VARIABLES[agent]: url}


def _content(env: Mapping[str, str]) -> dict[str, Any]:
    """What opencode is given as configuration by its environment."""
    try:
        found = json.loads(env.get(_CONTENT) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            f"opencode: {_CONTENT} is no JSON object, so that its provider cannot be led by way of the tap"
        )
    return found


def _provider(model: str | None, content: Mapping[str, Any]) -> str:
    name, slash, _ = str(model or content.get("model") or "").partition("/")
    if not name or not slash:
        raise UsageError("opencode: for a tap its model has to be named, as PROVIDER/MODEL")
    return name


def _options(content: dict[str, Any], provider: str) -> dict[str, Any]:
    """The options of a provider, made where there are none."""
    at = content
    for key in ("provider", provider, "options"):
        inner = at.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UsageError(f"opencode: {_CONTENT} is not as opencode has it, at {key}")
        at = inner
    return at
