"""What headway.yaml says of persistent workers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from engine.documents import Complaint, nearest

if TYPE_CHECKING:
    from engine.config.settings import Settings


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with workers beyond the types. Personas are files: `headway workers` says what is wrong there."""
    for name, one in settings.workers.items():
        if one.agent is not None and one.agent not in agents:
            yield ("workers", name, "agent"), f"there is no agent {one.agent!r}; {nearest(one.agent, agents)}"
        if one.route is not None and one.route not in settings.routes:
            hint = nearest(one.route, settings.routes) if settings.routes else "headway.yaml names none, under routes:"
            yield ("workers", name, "route"), f"there is no route {one.route!r}; {hint}"
        if one.project is not None and one.project not in settings.projects and not one.project.startswith(("/", "~")):
            hint = nearest(one.project, settings.projects) if settings.projects else "give its directory"
            yield ("workers", name, "project"), f"there is no project {one.project!r}; {hint}"
