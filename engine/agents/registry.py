"""The agents that exist, by name."""

from __future__ import annotations

from collections.abc import Mapping

from engine.agents.base import Agent
from engine.agents.claude import Claude
from engine.agents.rehearsal import Rehearsal
from engine.agents.shell import Shell


def agents() -> Mapping[str, Agent]:
    """Every agent that Headway can run."""
    return {agent.name: agent for agent in (Claude(), Rehearsal(), Shell())}
