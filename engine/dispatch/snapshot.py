"""Builds the world from the settings, the database and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.config import RESERVED_FROM, SPREAD_FROM, Settings, pacing_of
from engine.config.pacing import Pacing as Said
from engine.config.scopes import scope_of
from engine.dispatch.nodes import Nodes
from engine.dispatch.pacing import UNPACED, Mode, Pacing
from engine.dispatch.privacy import Privacy
from engine.dispatch.world import Exhausted, Memory, World
from engine.model import ALL
from engine.spend.budgets import Budgets, title, words
from engine.store import Transaction, budgets, claims, windows, workers
from engine.units import milliseconds


@dataclass(frozen=True, slots=True)
class Configured:
    """What the settings say of starting jobs."""

    caps: Mapping[str, int]
    shares: Mapping[str | None, float]
    ageing: int
    pacing: Mapping[str, Pacing] = field(default_factory=dict)
    usual_pacing: Pacing = UNPACED
    privacy: Privacy = field(default_factory=Privacy)
    budgets: Budgets = field(default_factory=Budgets)

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
        paced = {
            f"{account.agent}@{name}": _pacing(account.pacing)
            for name, account in settings.accounts.items()
            if account.pacing is not None
        }
        usual = _pacing(settings.pacing)
        return cls(
            caps, shares, milliseconds(settings.ageing), paced, usual, privacy or Privacy(), Budgets.of(settings)
        )


def _pacing(said: Said) -> Pacing:
    one = pacing_of(said)
    if one is None:
        return UNPACED
    if one.even:
        return Pacing(Mode.EVEN, background=SPREAD_FROM if one.background is None else one.background)
    return Pacing(Mode.RESERVE, one.share, RESERVED_FROM if one.background is None else one.background)


def world_of(
    tx: Transaction, configured: Configured, memory: Memory, *, nodes: Nodes | None = None, draining: bool = False
) -> World:
    """The world at the time of a transaction."""
    running: dict[str, int] = {}
    for lane, count in claims.running(tx):
        for scope in lane.scopes:
            running[scope] = running.get(scope, 0) + count
    found, holds = windows.all_of(tx), claims.holds(tx)
    if nodes is not None:
        nodes.close(holds)
    return World(
        now=tx.now,
        running=running,
        caps={**{f"worker:{name}": 1 for name in workers.names(tx)}, **configured.caps, **claims.caps(tx)},
        holds=holds,
        breakers=claims.breakers(tx),
        windows=found,
        probes=windows.probes(tx, (one for account in found.values() for one in account)),
        pacing=configured.pacing,
        usual_pacing=configured.usual_pacing,
        exhausted=_exhausted(tx, configured.budgets),
        workers=workers.at_work(tx),
        memory=memory,
        nodes=nodes or Nodes(),
        draining=draining,
        shares=configured.shares,
        served=claims.served(tx),
        privacy=configured.privacy,
        ageing=configured.ageing,
    )


def _exhausted(tx: Transaction, all_: Budgets) -> dict[str, Exhausted]:
    return {
        scope: Exhausted(f"{title(scope)} is used up: {words(one, spent)}", until, budgets.open_card(tx, scope))
        for scope, (one, spent, until) in budgets.exhausted(tx, all_).items()
    }
