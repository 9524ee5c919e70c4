"""What is wrong in settings whose types are right. Each section says it in a file of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from engine.config import agents as agents_section
from engine.config import (
    budgets,
    checks,
    cluster,
    gates,
    inbox,
    mcp,
    memory,
    merging,
    notify,
    pacing,
    projects,
    resources,
    routes,
    sandbox,
    schedules,
    server,
    tap,
    telemetry,
    triage,
    upkeep,
    workers,
)
from engine.config.settings import Settings
from engine.documents import Complaint, nearest
from engine.model import ALL, SCOPES


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong beyond the types: the keys that lead to it, and why. `agents` are the names that exist."""
    yield from _at_the_top(settings, agents)
    yield from agents_section.complaints(settings, agents)
    yield from projects.complaints(settings)
    yield from routes.complaints(settings, agents)
    yield from triage.complaints(settings)
    yield from upkeep.complaints(settings)
    yield from tap.complaints(settings)
    yield from telemetry.complaints(settings)
    yield from memory.complaints(settings, agents)
    yield from mcp.complaints(settings, agents)
    yield from merging.complaints(settings)
    yield from pacing.complaints(settings)
    yield from schedules.complaints(settings.schedules)
    yield from budgets.complaints(settings)
    yield from inbox.complaints(settings)
    yield from notify.complaints(settings)
    yield from sandbox.complaints(settings)
    yield from resources.complaints(settings)
    yield from workers.complaints(settings, agents)
    yield from gates.complaints(settings, agents)
    yield from server.complaints(settings)
    yield from cluster.complaints(settings, agents)


def _at_the_top(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    if settings.default_agent not in agents:
        wrong = settings.default_agent
        yield ("default_agent",), f"there is no agent {wrong!r}; {nearest(wrong, agents)}"
    for scope in settings.caps:
        kind, _, rest = scope.partition(":")
        if scope != ALL and (kind not in SCOPES or not rest):
            yield ("caps", scope), f"a scope is {ALL} or one of {', '.join(f'{one}:NAME' for one in SCOPES)}"
    yield from checks.spans((), settings, "timeout", "stall", "ageing")
    yield from checks.sizes((), settings, "memory_reserve", "memory_budget")
    yield from checks.spans(("sessions",), settings.sessions, "max_age")
