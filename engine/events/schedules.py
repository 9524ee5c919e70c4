"""What happens to schedules, and at their times."""

from __future__ import annotations

from engine.events.body import Body
from engine.schedule import Kept


class ScheduleSet(Body, frozen=True, tag="schedule_set"):
    """A schedule was added, changed, paused, resumed or, where `kept` is None, removed."""

    by: str
    name: str
    kept: Kept | None = None


class ScheduleFired(Body, frozen=True, tag="schedule_fired"):
    """A job was submitted for one of its times. The event carries that job."""

    name: str
    fire_at: int
    late_ms: int = 0
    """More than a moment: it was caught up with."""
    by: str = ""
    """Who ran it out of turn."""
    replaces: tuple[int, ...] = ()


class ScheduleMissed(Body, frozen=True, tag="schedule_missed"):
    """Nothing was submitted for some of its times."""

    name: str
    count: int
    first: int
    last: int
    why: str
    more: bool = False
    """There were more than were counted."""


ScheduleBody = ScheduleSet | ScheduleFired | ScheduleMissed
