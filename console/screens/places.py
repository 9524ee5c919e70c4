"""The screens that have a number or a letter: the one list that keys, `:` commands, palette and help are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.desk import Desk
from console.screens.frame import Frame
from console.screens.inbox import InboxScreen
from console.screens.limits import LimitsScreen
from console.screens.overview import OverviewScreen
from console.screens.queue import QueueScreen
from console.screens.workers import WorkersScreen


@dataclass(frozen=True, slots=True)
class Place:
    """A screen that is there once, and stays as it was left while the operator is elsewhere."""

    name: str
    """As its command says it: `:queue`. The action that goes there is `go_<name>`."""
    title: str
    make: Callable[[Desk], Frame]
    about: str
    """What it shows, in a line of the help."""


PLACES: tuple[Place, ...] = (
    Place("overview", "Overview", OverviewScreen, "what needs you, who works, limits, the last hour, what is to come"),
    Place("queue", "Queue", QueueScreen, "every job, and what there is to see of the one under the cursor"),
    Place("workers", "Workers", WorkersScreen, "what each agent is doing"),
    Place("inbox", "Inbox", InboxScreen, "what agents ask, and wait for"),
    Place("limits", "Limits", LimitsScreen, "what keeps work from starting, and until when"),
)

BY_NAME = {place.name: place for place in PLACES}

#: The screen that the console opens with.
FIRST = "overview"

ABOUT_JOB = "one job: its log, its diff, its attempts and its spec"
