"""headway.yaml -> Settings. Every error names file, line, key, and the nearest valid word."""

from engine.config.agents import (
    BASE_ENVIRONMENT,
    AccountSettings,
    AgentSettings,
    Api,
    ProviderSettings,
    SessionSettings,
)
from engine.config.budgets import BudgetSettings
from engine.config.gates import CheckSettings, EvidenceSettings, GateSettings
from engine.config.keys import KeyReference
from engine.config.mcp import McpSettings, Offer
from engine.config.memory import Embedder, EndpointSettings, Learn, MemorySettings, Weights
from engine.config.merging import MergeSettings
from engine.config.pacing import RESERVED_FROM, SPREAD_FROM, PacingSettings, pacing_of
from engine.config.projects import Permissions, ProjectSettings, RuleSettings
from engine.config.reading import FILE, find_settings, load_settings
from engine.config.routes import MatchSettings, NeedsSettings, RouteSettings
from engine.config.server import ServerSettings
from engine.config.settings import Settings
from engine.config.skills import ProjectSkills, SkillSettings
from engine.config.spend import PriceSettings, SpendSettings
from engine.config.tap import TapSettings
from engine.config.telemetry import TelemetrySettings
from engine.config.upkeep import RetryBudget, Upkeep

__all__ = [
    "BASE_ENVIRONMENT",
    "FILE",
    "RESERVED_FROM",
    "SPREAD_FROM",
    "AccountSettings",
    "AgentSettings",
    "Api",
    "BudgetSettings",
    "CheckSettings",
    "Embedder",
    "EndpointSettings",
    "EvidenceSettings",
    "GateSettings",
    "KeyReference",
    "Learn",
    "MatchSettings",
    "McpSettings",
    "MemorySettings",
    "MergeSettings",
    "NeedsSettings",
    "Offer",
    "PacingSettings",
    "Permissions",
    "PriceSettings",
    "ProjectSettings",
    "ProjectSkills",
    "ProviderSettings",
    "RetryBudget",
    "RouteSettings",
    "RuleSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "SkillSettings",
    "SpendSettings",
    "TapSettings",
    "TelemetrySettings",
    "Upkeep",
    "Weights",
    "find_settings",
    "load_settings",
    "pacing_of",
]
