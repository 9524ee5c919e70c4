"""Builds the world from the settings, the database and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.config import Settings
from engine.dispatch.privacy import Privacy
from engine.dispatch.world import Memory, World
from engine.model import ALL
from engine.store import Transaction, claims
from engine.units import milliseconds


@dataclass(frozen=True, slots=True)
class Configured:
    """What the settings say of starting jobs."""

    caps: Mapping[str, int]
    shares: Mapping[str | None, float]
    ageing: int
    privacy: Privacy = field(default_factory=Privacy)

    @classmethod
    def of(cls, settings: Settings, privacy: Privacy | None = None) -> Configured:
        caps = {ALL: settings.max_running}
        shares: dict[str | None, float] = {}
        for name, agent in settings.agents.items():
            if agent.max_running is not None:
                caps[f"agent:{name}"] = agent.max_running
        for name, account in settings.accounts.items():
            if account.max_running is not None:
                caps[f"account:{account.agent}@{name}"] = account.max_running
        for project in settings.projects.values():
            shares[project.directory] = project.share
            if project.max_running is not None:
                caps[f"project:{project.directory}"] = project.max_running
        caps |= {scope_of(scope, settings): n for scope, n in settings.caps.items()}
        return cls(caps, shares, milliseconds(settings.ageing), privacy or Privacy())


def scope_of(text: str, settings: Settings) -> str:
    """A scope as it counts: a project's name in the settings stands for its directory, an account's for its agent's."""
    kind, _, name = text.partition(":")
    if kind == "project" and name in settings.projects:
        return f"project:{settings.projects[name].directory}"
    if kind == "account" and name in settings.accounts:
        return f"account:{settings.accounts[name].agent}@{name}"
    return text


def world_of(tx: Transaction, configured: Configured, memory: Memory, *, draining: bool = False) -> World:
    """The world at the time of a transaction."""
    running: dict[str, int] = {}
    for lane, count in claims.running(tx):
        for scope in lane.scopes:
            running[scope] = running.get(scope, 0) + count
    return World(
        now=tx.now,
        running=running,
        caps={**configured.caps, **claims.caps(tx)},
        holds=claims.holds(tx),
        breakers=claims.breakers(tx),
        memory=memory,
        draining=draining,
        shares=configured.shares,
        served=claims.served(tx),
        privacy=configured.privacy,
        ageing=configured.ageing,
    )
