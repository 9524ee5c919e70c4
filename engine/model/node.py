"""A machine of the cluster, as the operator sees it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from engine.model.account import AgentStatus


class NodeState(StrEnum):
    READY = "ready"
    DRAINED = "drained"
    """Nothing new starts there."""
    MEETING = "meeting"
    """It is here, and has not answered yet: `trouble` says why."""
    AWAY = "away"
    """It is out of reach. What runs there is waited for."""


class Node(Struct, frozen=True, kw_only=True):
    """One node. Memory is in bytes, times are milliseconds UTC."""

    name: str
    state: NodeState
    trouble: str = ""
    address: str = ""
    held_by: str | None = None
    running: list[int] = field(default_factory=list)
    """The jobs whose attempts run there."""
    offers: dict[str, float] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    memory: int = 0
    memory_free: int = 0
    version: str = ""
    """Of Headway."""
    last_seen: int = 0
    agents: list[AgentStatus] = field(default_factory=list)
    """Where they were asked for."""


class Nodes(Struct, frozen=True, kw_only=True):
    """The cluster."""

    configured: bool
    connected: bool = False
    trouble: str = ""
    address: str = ""
    nodes: list[Node] = field(default_factory=list)


class Draining(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a node is to take no more attempts; with `back`, that it is to take them again."""

    node: str
    back: bool = False
    move: bool = False
    """What runs there begins anew elsewhere."""
    dry_run: bool = False


class Join(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that is to join, with what it offers."""

    name: str = ""
    resources: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
