"""The agent `llm`: one call of a model, as a process of its own, so that it outlives the engine like any other."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from engine.agents.addresses import provider_at
from engine.agents.base import Agent, Assignment, Launch, Parser
from engine.agents.llm import call
from engine.agents.llm.lines import ASSIGNMENT, Call
from engine.agents.llm.parser import LlmParser
from engine.agents.llm.providers import KEY, KNOWN, Provider, chosen, providers
from engine.config import AccountSettings, AgentSettings
from engine.errors import UsageError


class Llm(Agent):
    """Its model is `PROVIDER/MODEL`."""

    name = "llm"
    provider = True
    stall_seconds = 900
    footprint = 100 << 20  # 80 MB with the library of Anthropic, 50 with that of OpenAI or Google, and prices
    addresses = tuple(one.address for one in KNOWN.values() if one.address)
    effects = False
    answers = True
    appended_by = "its system prompt"

    def check(self, settings: AgentSettings) -> None:
        providers(settings)

    def accept(self, model: str | None, settings: AgentSettings, account: AccountSettings | None = None) -> None:
        provider, _ = chosen(model, settings)
        _check_account(account, provider)

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        try:
            provider, _ = chosen(model, settings)
        except UsageError:
            return None
        return provider_at(provider.base_url or env.get(provider.address or ""), provider.name)

    def launch(self, assignment: Assignment) -> Launch:
        settings = assignment.settings
        provider, model = chosen(assignment.model, settings)
        _check_account(assignment.account, provider)
        schema = assignment.schema or settings.schema
        asked = Call(
            speaks=provider.speaks,
            provider=provider.name,
            model=model,
            prompt=assignment.prompt,
            base_url=provider.base_url,
            key=provider.key,
            key_needed=provider.key_needed,
            system="\n\n".join(filter(None, (assignment.system or settings.system, assignment.standing))) or None,
            schema=dict(schema) if schema is not None else None,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            idle=provider.idle,
        )
        command = settings.command or [sys.executable, "-I", "-m", call.__name__]
        return Launch(
            argv=[*command, *settings.args, str(assignment.run_dir / ASSIGNMENT)],
            files={ASSIGNMENT: msgspec.json.encode(asked)},
            pass_env=[name for name in (provider.key, provider.address) if name and name != KEY],
            keys={provider.key: provider.kept} if provider.kept is not None else {},
            key_variable=provider.key,
        )

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return LlmParser()


def _check_account(account: AccountSettings | None, provider: Provider) -> None:
    """A key goes to nobody but the provider whose it is."""
    if account is not None and account.key is not None and account.provider != provider.name:
        whose = account.provider or "no named provider"
        raise UsageError(f"llm: the account's key is one of {whose}, and the model is one of {provider.name}")
