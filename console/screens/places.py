"""The screens that have a number or a letter: the one list that keys, `:` commands, palette and help are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.desk import Desk
from console.screens.events import EventsScreen
from console.screens.frame import Frame
from console.screens.health import HealthScreen
from console.screens.inbox import InboxScreen
from console.screens.limits import LimitsScreen
from console.screens.memory import MemoryScreen
from console.screens.overview import OverviewScreen
from console.screens.queue import QueueScreen
from console.screens.routes import RoutesScreen
from console.screens.schedules import SchedulesScreen
from console.screens.skills import SkillsScreen
from console.screens.spend import SpendScreen
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
    Place("spend", "Spend", SpendScreen, "what is spent and by whom, what budgets have left, and what is tax"),
    Place("schedules", "Schedules", SchedulesScreen, "what is submitted by the clock: next times and last results"),
    Place("memory", "Memory", MemoryScreen, "what is remembered, and why a search finds it"),
    Place("skills", "Skills", SkillsScreen, "what agents are taught, how often they read it, how that ends"),
    Place("routes", "Routing", RoutesScreen, "where jobs go, how targets do, and races"),
    Place("events", "Events", EventsScreen, "the engine's log as it grows"),
    Place("limits", "Limits", LimitsScreen, "what keeps work from starting, and until when"),
    Place("health", "Health", HealthScreen, "the engine, its agents and their logins, and how to mend what is wrong"),
)

BY_NAME = {place.name: place for place in PLACES}

#: The screen that the console opens with.
FIRST = "overview"

ABOUT_JOB = "one job: its log, its diff, its attempts and its spec"
