"""The agents that exist, by name."""

from __future__ import annotations

from collections.abc import Mapping

from engine.agents.base import Agent
from engine.agents.claude import Claude
from engine.agents.codex import Codex
from engine.agents.gemini import Gemini
from engine.agents.logins import check_account
from engine.agents.opencode import Opencode
from engine.agents.rehearsal import Rehearsal
from engine.agents.shell import Shell
from engine.config import Settings


def check_agents(settings: Settings) -> None:
    """Hold each agent's settings against what it takes, raising `UsageError` for what it refuses."""
    for agent in agents().values():
        agent.check(settings.agent(agent.name))
    for name, account in settings.accounts.items():
        check_account(name, account)


def agents() -> Mapping[str, Agent]:
    """Every agent that Headway can run."""
    return {agent.name: agent for agent in (Claude(), Codex(), Gemini(), Opencode(), Rehearsal(), Shell())}
