"""What headway.yaml says of the tools that Headway gives to agents over MCP."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from engine.documents import Complaint, nearest
from engine.model import Tool

if TYPE_CHECKING:
    from engine.config.settings import Settings

Offer = bool | list[Tool]  #: of an agent, a project or a job: all that the rest allows, nothing, or these


class McpSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tools for agents. An agent, a project and a job may each have less."""

    enabled: bool = True
    tools: list[Tool] | None = None
    """The only ones that are offered; unset is all."""
    depth: Annotated[int, Meta(ge=0, le=10)] = 1
    """How far jobs that agents submit may submit others: with 1, their own jobs submit none."""
    children: Annotated[int, Meta(ge=0, le=1_000)] = 8
    """Jobs that one job may submit, over all its attempts."""
    agents: list[str] | None = None
    """Agents that submitted jobs may run on; unset is all but `shell`, whose commands are bounded by nothing."""
    proposes: bool = False
    """What agents remember waits until the operator accepts it."""
    calls: Annotated[int, Meta(ge=1, le=10_000)] = 60
    """Calls that an attempt may make in a minute."""


def offered(settings: Settings, agent: str, project: str | None, job: Offer | None) -> frozenset[Tool]:
    """The tools of an attempt: those that everybody's settings, its agent's, its project's and the job allow alike."""
    mcp = settings.mcp
    if not mcp.enabled:
        return frozenset()
    tools = frozenset(Tool if mcp.tools is None else mcp.tools)
    of_project = [one.mcp for one in settings.projects.values() if project is not None and one.directory == project]
    for said in (settings.agent(agent).mcp, *of_project, job):
        if said is False:
            return frozenset()
        if isinstance(said, list):
            tools &= frozenset(said)
    return tools


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with it beyond the types."""
    for place, name in enumerate(settings.mcp.agents or ()):
        if name not in agents:
            yield ("mcp", "agents", place), f"there is no agent {name!r}; {nearest(name, agents)}"
