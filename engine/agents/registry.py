"""The agents that exist, by name."""

from __future__ import annotations

from collections.abc import Mapping

from engine.agents.acp import Acp
from engine.agents.base import Agent
from engine.agents.claude import Claude
from engine.agents.codex import Codex
from engine.agents.gemini import Gemini
from engine.agents.llm.agent import Llm
from engine.agents.logins import check_account
from engine.agents.opencode import Opencode
from engine.agents.rehearsal import Rehearsal
from engine.agents.shell import Shell
from engine.config import Settings
from engine.errors import UsageError
from engine.model import JobSpec


def check_agents(settings: Settings) -> None:
    """Hold each agent's settings against what it takes, raising `UsageError` for what it refuses."""
    for agent in agents().values():
        own = settings.agent(agent.name)
        for key in ("system", "schema", "temperature", "max_tokens", "providers"):
            if not agent.answers and getattr(own, key):
                raise UsageError(f"agents.{agent.name}.{key}: only llm takes it; remove it")
        agent.check(own)
    for name, account in settings.accounts.items():
        check_account(name, account)


def check_job(spec: JobSpec, agent: str, model: str | None, settings: Settings) -> None:
    """Hold what a job asks for against what its agent takes, raising `UsageError`."""
    known = agents().get(agent)
    if known is None:
        return
    for key in ("system", "schema"):
        if getattr(spec, key) is not None and not known.answers:
            raise UsageError(f"{agent} takes no {key}: leave it out, or ask llm")
    account = settings.accounts.get(spec.account) if spec.account is not None else None
    known.accept(model, settings.agent(agent), account)


def agents() -> Mapping[str, Agent]:
    """Every agent that Headway can run."""
    known = (Acp(), Claude(), Codex(), Gemini(), Llm(), Opencode(), Rehearsal(), Shell())
    return {agent.name: agent for agent in known}
