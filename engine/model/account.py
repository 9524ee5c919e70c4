"""Agents on this machine, and their logins."""

from __future__ import annotations

from msgspec import Struct, field


class AccountStatus(Struct, frozen=True, kw_only=True):
    """One login of an agent."""

    name: str
    ok: bool | None
    """None: nothing is set up here."""
    found: str
    mend: str = ""
    expires_at: int | None = None


BUILT_IN = "built in"  #: what an agent is that no program of its own belongs to


class AgentStatus(Struct, frozen=True, kw_only=True):
    """One agent."""

    agent: str
    program: str
    version: str | None
    """None: it cannot be started."""
    problem: str = ""
    tools: str = ""
    """Whether it is given the tools of Headway, and whether they work; empty where nobody has looked."""
    tools_ok: bool = True
    accounts: list[AccountStatus] = field(default_factory=list)
