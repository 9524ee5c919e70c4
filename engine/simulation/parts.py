"""The parts of a simulated fleet: its accounts, its jobs, and the attempts that run."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.agents.base import Agent
from engine.config import AccountSettings, PacingSettings, Settings
from engine.dispatch.routebook import Route
from engine.dispatch.waiting import Waiting
from engine.model import Failure, Target
from engine.model.route import Rerouting
from engine.simulation.errands import Errand, Login
from engine.simulation.places import Host
from engine.simulation.scenario import Scenario
from engine.simulation.supply import Supply
from engine.store.lanes import Lane
from engine.store.rows import JobRow


@dataclass(slots=True, eq=False)
class Account:
    """One account: what its provider knows, and the attempts that it pays for."""

    login: Login
    target: Target
    agent: Agent
    supply: Supply
    running: dict[Attempt, None] = field(default_factory=dict)
    look_at: int = 0
    """When its use is looked at next, milliseconds UTC."""
    opens_at: int = 0
    """When the engine next expects that more may start on it."""


@dataclass(slots=True, eq=False)
class Job:
    """A job as the store would have it, and what is left to do."""

    row: JobRow
    errand: Errand
    left: int
    """Calls of the model."""
    waiting: Waiting
    """The lane that it stands in, or stood in last."""
    route: Route | None = None
    """What lets it go to another account."""
    moves: list[Rerouting] = field(default_factory=list)
    worked_on: Target | None = None
    """The target of its newest attempt."""
    limited_since: int | None = None
    """Since when it waits for its target: the first of the attempts in a row that a limit ended there."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One that runs. Times are milliseconds UTC."""

    job: Job
    account: Account
    host: Host
    lane: Lane
    begun: int
    since: int | None = None
    """When its first call was served."""
    ends: int = 0
    """When it ends by itself, once calls are served."""
    failure: Failure | None = None
    """How."""
    next_at: int = 0
    """When something happens to it next: it ends, or its next call is a question."""
    retry_at: int | None = None
    """When the provider says that it serves again."""


def settings_of(scenario: Scenario, known: list[Login]) -> Settings:
    """What headway.yaml would say of the scenario."""
    accounts = {}
    for login in known:
        one = scenario.accounts[login.sort]
        pacing = PacingSettings(reserve=f"{one.reserve:.4%}") if one.reserve else None
        accounts[login.name] = AccountSettings(agent=one.agent, max_running=one.slots, pacing=pacing)
    return Settings(max_running=scenario.agents, accounts=accounts)
