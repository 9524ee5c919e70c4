"""Gives an attempt its tools: a token, the file that holds it, and the agent's own configuration of MCP servers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.agents.base import Agent, Launch, ToolServer
from engine.config import Settings
from engine.config.mcp import offered
from engine.config.memory import told
from engine.gate.book import NOTHING as NO_GATES
from engine.gate.book import Gatebook
from engine.mcp import capability, shim
from engine.mcp.capability import Grants, hashed
from engine.model import Tool
from engine.runner.run_dir import RunDir
from engine.store.claims import Claim

NAME = "headway"  #: how agents know the server
VARIABLE = "HEADWAY_MCP"  #: names the file of its capability in an attempt's environment: `headway mcp` reads it


@dataclass(frozen=True, slots=True)
class Offered:
    """How an attempt is started with its tools. `env` has the last word."""

    launch: Launch
    env: Mapping[str, str]
    capability: str
    """The hash of its token."""


@dataclass(frozen=True, slots=True)
class Offers:
    """One for an engine."""

    home: Path
    settings: Settings
    grants: Grants
    gates: Gatebook = NO_GATES

    def of(self, claim: Claim, agent: Agent, run: RunDir, launch: Launch, env: Mapping[str, str]) -> Offered | None:
        """Give an attempt the tools that it may have; None where that is none, or its agent takes none.

        `env` is its environment as it would be without them.
        """
        tools = self.tools(claim, agent)
        if not tools:
            return None
        token = self.grants.issue(claim, tools)
        path = capability.write(run, self.home, token, [tool for tool in Tool if tool in tools])
        launch, more = agent.offered(launch, ToolServer(NAME, command(path), run.path), env) or (launch, {})
        return Offered(launch, {**more, VARIABLE: str(path)}, hashed(token))

    def tools(self, claim: Claim, agent: Agent) -> frozenset[Tool]:
        """What an attempt may call."""
        said = self.settings.agent(agent.name).mcp
        if not agent.takes_tools and not said:
            return frozenset()
        project = claim.job.project
        tools = offered(self.settings, agent.name, project, claim.spec.mcp)
        if (project is None and claim.spec.persona is None) or not told(self.settings, agent.name, project):
            tools -= {Tool.RECALL, Tool.REMEMBER}  # nothing of memory is its own
        if self.gates.gate(claim.spec, project, agent.name) is None:
            tools -= {Tool.CLAIM_DONE}  # nothing would be checked
        return tools

    def again(self, claim: Claim, agent: Agent, hash_: str) -> None:
        """An attempt of an earlier engine goes on with the token that it has."""
        self.grants.renew(claim, self.tools(claim, agent), hash_)

    def end(self, attempt: int, run: RunDir) -> None:
        """The attempt has ended."""
        self.grants.revoke(attempt)
        capability.remove(run)


def command(path: Path | str) -> tuple[str, ...]:
    """What an agent starts for a server: no user's site-packages, no variable and no directory of its own count."""
    return (sys.executable, "-I", "-S", str(shim.__file__), str(path))
