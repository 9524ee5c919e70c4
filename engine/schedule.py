"""The nouns of schedules: what is asked for, how one stands, and what became of each of its times."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model import TAG, JobSpec

FILE = "headway.yaml"  #: who keeps a schedule that is said there

NAME_LIMIT = 64  #: characters

Name = Annotated[str, Meta(pattern=TAG, max_length=NAME_LIMIT)]


class Missed(StrEnum):
    """What becomes of times that came while no engine ran."""

    SKIP = "skip"
    ONCE = "once"
    """One job for all of them."""
    ALL = "all"
    """A job for each, the newest `most`, one after another."""


class Overlap(StrEnum):
    """What becomes of a time at which an earlier job of the schedule is unfinished."""

    SKIP = "skip"
    QUEUE = "queue"
    """It waits for that one to end, however it ends."""
    REPLACE = "replace"
    """That one is cancelled, and it follows when that has ended."""


class ScheduleSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a person asks for: an entry of `schedules:`, or of `headway schedules add`."""

    cron: Annotated[str, Meta(min_length=1, max_length=200)]
    """Five fields, as in crontab(5), or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."""
    job: JobSpec
    """What is submitted. Its delays count from the moment at which that is done."""
    zone: str | None = None
    """An IANA time zone; unset is this machine's."""
    jitter: str | int = 0
    """Each time is moved by up to so much, always by the same for one time."""
    missed: Missed = Missed.ONCE
    most: Annotated[int, Meta(ge=1, le=1_000)] = 24
    """With `missed: all`: of so many."""
    overlap: Overlap = Overlap.SKIP
    deadline: str | int | None = None
    """A time that is older than that when an engine comes to it is missed, whatever `missed` says."""


class Outcome(StrEnum):
    """What became of one time of a schedule."""

    FIRED = "fired"
    CAUGHT_UP = "caught_up"
    """Later than it should have been, by its `missed`."""
    ASKED = "asked"
    """The operator ran it now."""
    SKIPPED = "skipped"
    """By its `overlap`."""
    MISSED = "missed"
    FAILED = "failed"
    """Its job was not accepted."""


class Firing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One time of a schedule."""

    fire_at: int
    """When it was due, milliseconds UTC, without jitter."""
    at: int
    """When that was decided."""
    outcome: Outcome
    job: int | None = None
    reason: str = ""


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person decided on a schedule: what an action changes, and `undo` restores."""

    spec: ScheduleSpec
    by: str
    """Who keeps it: the operator, or headway.yaml."""
    paused_by: str | None = None


class Schedule(Struct, frozen=True, kw_only=True):
    """A schedule as it stands."""

    name: str
    spec: ScheduleSpec
    by: str
    zone: str
    """The time zone that it goes by."""
    says: str
    """Its cron line in words."""
    added_at: int
    paused_by: str | None = None
    last_fire_at: int | None = None
    """The newest of its times that something became of."""
    last: Firing | None = None
    next: list[int] = field(default_factory=list)
    """When its jobs will be submitted next, jitter included."""
    problem: str | None = None
    """Why its job would not be accepted now."""


class ScheduleDetail(Struct, frozen=True, kw_only=True):
    """A schedule with what became of its newest times, the newest first."""

    schedule: Schedule
    firings: list[Firing] = field(default_factory=list)


class ScheduleVerb(StrEnum):
    ADD = "add"
    EDIT = "edit"
    REMOVE = "remove"
    PAUSE = "pause"
    RESUME = "resume"
    RUN = "run"


class ScheduleOrder(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One of the operator's verbs on a schedule, as it crosses the socket."""

    verb: ScheduleVerb
    spec: ScheduleSpec | None = None
    """`add`, `edit`."""
    dry_run: bool = False
    upcoming: Annotated[int, Meta(ge=1, le=100)] = 5
    """How many of its next times are wanted in the answer."""


class ScheduleAnswer(Struct, frozen=True, kw_only=True):
    """What a verb came to."""

    verb: ScheduleVerb
    name: str
    schedule: Schedule | None = None
    """As it stands then; None for one that was removed."""
    job: int | None = None
    """`run`: what was submitted."""
    action: int | None = None
    dry_run: bool = False
