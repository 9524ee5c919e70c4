"""Agents on this machine, their logins and their limits."""

from __future__ import annotations

from msgspec import Struct, field


class LimitReading(Struct, frozen=True, kw_only=True):
    """The newest reading of one rate-limit window of an agent's account."""

    agent: str
    window: str
    status: str
    used: float | None
    """Share of the window, 0 to 1."""
    resets_at: int | None
    source: str
    observed_at: int


class AccountStatus(Struct, frozen=True, kw_only=True):
    """One login of an agent."""

    name: str
    ok: bool | None
    """None: nothing is set up here."""
    found: str
    mend: str = ""
    expires_at: int | None = None


class AgentStatus(Struct, frozen=True, kw_only=True):
    """One agent."""

    agent: str
    program: str
    version: str | None
    """None: it cannot be started."""
    problem: str = ""
    accounts: list[AccountStatus] = field(default_factory=list)
