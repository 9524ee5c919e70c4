"""What headway.yaml says of schedules is what anybody says of them: `engine.schedule.ScheduleSpec`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.schedule import ScheduleSpec
from engine.timetable import CronError, five_fields, zone_of
from engine.units import milliseconds

ALONE = ("after", "after_any", "name")  #: what a job says of others, of which each of its runs has none


def complaints(schedules: Mapping[str, ScheduleSpec]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong beyond the types: the keys that lead to it, and why."""
    for name, spec in schedules.items():
        for keys, wrong in wrong_in(spec):
            yield ("schedules", name, *keys), wrong


def wrong_in(spec: ScheduleSpec) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong in one."""
    try:
        five_fields(spec.cron)
    except CronError as error:
        yield ("cron",), str(error)
    try:
        zone_of(spec.zone)
    except CronError as error:
        yield ("zone",), str(error)
    for key, value in (("jitter", spec.jitter), ("deadline", spec.deadline)):
        try:
            if value is not None:
                milliseconds(value)
        except ValueError as error:
            yield (key,), str(error)
    for key in ALONE:
        if getattr(spec.job, key):
            yield ("job", key), "each of its jobs is submitted alone: leave it out"
