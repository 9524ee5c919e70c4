"""The whole of headway.yaml."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from engine.config.agents import AccountSettings, AgentSettings, SessionSettings, Slots
from engine.config.budgets import BudgetSettings
from engine.config.cluster import ClusterSettings
from engine.config.context import ContextSettings
from engine.config.gates import GateSettings
from engine.config.inbox import InboxSettings
from engine.config.mcp import McpSettings
from engine.config.memory import MemorySettings
from engine.config.notify import NotifySettings
from engine.config.pacing import Pacing
from engine.config.projects import Permissions, ProjectSettings
from engine.config.resources import ResourceSettings
from engine.config.routes import RouteSettings
from engine.config.sandbox import Sandbox
from engine.config.server import ServerSettings
from engine.config.skills import SkillSettings
from engine.config.spend import PriceSettings, SpendSettings
from engine.config.telemetry import TelemetrySettings
from engine.config.triage import TriageSettings
from engine.config.upkeep import RetryBudget, Upkeep
from engine.schedule import Name as ScheduleName
from engine.schedule import ScheduleSpec
from engine.worker import Name as WorkerName
from engine.worker import WorkerSpec


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that headway.yaml can say."""

    max_running: Slots = 8
    """Attempts at once, over all agents."""
    default_agent: str = "claude"
    grace: Annotated[float, Meta(ge=0, le=600)] = 10.0
    """Seconds between asking an agent to stop and killing what is left of it."""
    agents: dict[str, AgentSettings] = field(default_factory=dict)
    accounts: dict[str, AccountSettings] = field(default_factory=dict)
    projects: dict[str, ProjectSettings] = field(default_factory=dict)
    routes: dict[str, RouteSettings] = field(default_factory=dict)
    """Targets in order, with a policy for each way that one cannot be used. The first that matches a job counts."""
    caps: dict[str, Slots] = field(default_factory=dict)
    """Further caps, by scope: `tag:gpu`, `target:claude:opus@work`, `account:claude@work`."""
    ageing: str | int = "1h"
    """A job that waits so long while its project gets nothing goes up by one priority; 0 is never."""
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    """Attempts of a job before the engine gives up. Waits for a limit do not count."""
    timeout: str | int | None = None
    """How long an attempt may take, where neither its job nor its agent says so."""
    stall: str | int | None = None
    """How long it may go without an event, likewise."""
    pacing: Pacing = "off"
    """How background work leaves the windows of an account to the other work, where the account does not say."""
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    memory_reserve: str | int = "512M"
    """What has to stay free for the rest of the machine: with less, nothing new starts."""
    memory_budget: str | int | None = None
    """What all attempts together may be expected to hold: past it nothing new starts, whatever is free."""
    resources: dict[str, ResourceSettings] = field(default_factory=dict)
    """What an attempt's processes may take of the machine, by scope as `caps` are."""
    upkeep: Upkeep = field(default_factory=Upkeep)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    permissions: Permissions = field(default_factory=Permissions)
    inbox: InboxSettings = field(default_factory=InboxSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    triage: TriageSettings = field(default_factory=TriageSettings)
    schedules: dict[ScheduleName, ScheduleSpec] = field(default_factory=dict)
    workers: dict[WorkerName, WorkerSpec] = field(default_factory=dict)
    """Persistent workers, by name."""
    skills: SkillSettings = field(default_factory=SkillSettings)
    prices: dict[str, PriceSettings] = field(default_factory=dict)
    """Prices of models, by name, or by a pattern such as `qwen*`."""
    spend: SpendSettings = field(default_factory=SpendSettings)
    budgets: dict[str, BudgetSettings] = field(default_factory=dict)
    """How much may be spent, by scope."""
    memory: MemorySettings = field(default_factory=MemorySettings)
    sandbox: Sandbox = False
    """What agents may see and write of this machine, where neither project nor agent says so."""
    mcp: McpSettings = field(default_factory=McpSettings)
    """The tools that agents are given of Headway."""
    context: ContextSettings = field(default_factory=ContextSettings)
    gates: dict[str, GateSettings] = field(default_factory=dict)
    """What must hold before a job is done, by name."""
    server: ServerSettings = field(default_factory=ServerSettings)
    """The way to the engine over the network."""
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    """Where traces and metrics go. Nowhere, where no endpoint is named."""
    cluster: ClusterSettings | None = None
    """Further machines, and what is done on them."""
    theme: str | None = None
    keymap: str | None = None
    """A shipped keymap of the console, beneath `keys`."""
    keys: dict[str, str] = field(default_factory=dict)
    """Console keys moved to others: action -> key."""

    def agent(self, name: str) -> AgentSettings:
        return self.agents.get(name) or AgentSettings()
