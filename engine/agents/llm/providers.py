"""Who can be asked: the providers that are known, changed and joined by those of the settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.config import AgentSettings, Api, KeyReference
from engine.documents import nearest
from engine.errors import SettingError, UsageError
from engine.units import milliseconds

#: The variable for the key of a provider that has none of its own.
KEY = "HEADWAY_LLM_KEY"


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    speaks: Api
    base_url: str | None = None
    key: str = KEY
    """The variable in which the call takes its key."""
    key_needed: bool = True
    address: str | None = None
    """The variable that its own library takes another address from."""
    kept: KeyReference | None = None
    """Where its key is kept, if not in that variable."""
    idle: float = 300.0


KNOWN: Mapping[str, Provider] = {
    one.name: one
    for one in (
        Provider("anthropic", Api.MESSAGES, key="ANTHROPIC_API_KEY", address="ANTHROPIC_BASE_URL"),
        Provider("openai", Api.RESPONSES, key="OPENAI_API_KEY", address="OPENAI_BASE_URL"),
        Provider("google", Api.GEMINI, key="GEMINI_API_KEY", address="GOOGLE_GEMINI_BASE_URL"),
        Provider("ollama", Api.CHAT, "http://127.0.0.1:11434/v1", key_needed=False),
    )
}


def providers(settings: AgentSettings) -> Mapping[str, Provider]:
    """All that can be asked, by name. Raises `UsageError` for one that cannot."""
    found = dict(KNOWN)
    for name, changed in settings.providers.items():
        known = KNOWN.get(name)
        if known is None and changed.base_url is None:
            raise SettingError(("agents", "llm", "providers", name), "say where it is: base_url")
        if changed.base_url is not None and not changed.base_url.startswith(("http://", "https://")):
            keys = ("agents", "llm", "providers", name, "base_url")
            raise SettingError(keys, "it has to begin with http:// or https://")
        if not name or "/" in name or "@" in name:
            why = f"{name!r} is no name: it stands before the / of a model"
            raise SettingError(("agents", "llm", "providers", name), why)
        base = known or Provider(name, Api.CHAT, key_needed=changed.key is not None)
        found[name] = replace(
            base,
            speaks=changed.speaks or base.speaks,
            base_url=changed.base_url or base.base_url,
            kept=changed.key,
            idle=milliseconds(changed.idle) / 1_000,
        )
    return found


def chosen(model: str | None, settings: AgentSettings) -> tuple[Provider, str]:
    """The provider and the model of `PROVIDER/MODEL`. Raises `UsageError`."""
    name, _, rest = (model or "").partition("/")
    known = providers(settings)
    if not name or not rest:
        said = f"llm: {model!r} names no provider" if model else "llm: no model is named"
        raise UsageError(f"{said}; write PROVIDER/MODEL, such as anthropic/claude-sonnet-4-5")
    if name not in known:
        raise UsageError(f"llm: there is no provider {name!r}; {nearest(name, known)}")
    return known[name], rest
