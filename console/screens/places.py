"""The screens that have a number or a letter: the one list that keys, `:` commands, palette and help are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from console.desk import Desk
    from console.screens.frame import Frame


@dataclass(frozen=True, slots=True)
class Place:
    """A screen that is there once, and stays as it was left while the operator is elsewhere."""

    name: str
    """As its command says it: `:queue`. The action that goes there is `go_<name>`."""
    title: str
    about: str
    """What it shows, in a line of the help."""

    @property
    def screen(self) -> type[Frame]:
        """Its class: `<Name>Screen` of the module with its name. Read when it is asked for: nobody waits for all."""
        module = import_module(f"console.screens.{self.name}")
        return cast("type[Frame]", getattr(module, f"{self.name.capitalize()}Screen"))

    def make(self, desk: Desk) -> Frame:
        return self.screen(desk)


PLACES: tuple[Place, ...] = (
    Place("overview", "Overview", "what needs you, who works, limits, the last hour, what is to come"),
    Place("queue", "Queue", "every job, and what there is to see of the one under the cursor"),
    Place("workers", "Workers", "what each agent is doing"),
    Place("inbox", "Inbox", "what agents ask, and wait for"),
    Place("spend", "Spend", "what is spent and by whom, what budgets have left, and what is tax"),
    Place("schedules", "Schedules", "what is submitted by the clock: next times and last results"),
    Place("memory", "Memory", "what is remembered, and why a search finds it"),
    Place("skills", "Skills", "what agents are taught, how often they read it, how that ends"),
    Place("routes", "Routing", "where jobs go, how targets do, and races"),
    Place("events", "Events", "the engine's log as it grows"),
    Place("limits", "Limits", "what keeps work from starting, and until when"),
    Place("health", "Health", "the engine, its agents and their logins, and how to mend what is wrong"),
    Place("merges", "Merges & pipelines", "what waits to be merged, queue by queue, and how far pipelines are"),
)

BY_NAME = {place.name: place for place in PLACES}

#: The screen that the console opens with.
FIRST = "overview"

ABOUT_JOB = "one job: its log, its diff, its gate, its attempts and its spec"


def read_ahead() -> Iterator[None]:
    """Read the code of every screen, also of those on top of others, one a step: before its key is pressed."""
    for name in (*BY_NAME, "job", "help"):
        import_module(f"console.screens.{name}")
        yield
