"""Schedules as rows and as texts: when, what came of it, what comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import yaml

from console.fields import Field
from console.format import age, clean_line, job_name, moment, money
from console.roles import Part, Role
from console.status import mark_of
from console.telling import fact, heading, lines
from console.transcript import Entry
from engine.model import Job, JobSpec
from engine.schedule import Firing, Outcome, Schedule, ScheduleDetail, ScheduleSpec


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule with the job of its newest time."""

    schedule: Schedule
    job: Job | None = None

    @property
    def name(self) -> str:
        return self.schedule.name

    @property
    def next_at(self) -> int | None:
        paused = self.schedule.paused_by is not None
        return None if paused or not self.schedule.next else self.schedule.next[0]


def result(row: ScheduleRow, now: int) -> str:
    """What came of the newest time: how its job stands, or why there is none."""
    last = row.schedule.last
    if last is None:
        return "-"
    return mark_of(row.job, now).word if row.job is not None else last.outcome.replace("_", " ")


def result_role(row: ScheduleRow, now: int) -> Role:
    last = row.schedule.last
    if row.job is not None:
        return mark_of(row.job, now).role
    return Role.FAILED if last is not None and last.outcome in (Outcome.FAILED, Outcome.MISSED) else Role.MUTED


def sign(row: ScheduleRow, now: int) -> Part:
    if row.schedule.problem:
        return "✗", Role.FAILED
    return ("=", Role.HELD) if row.schedule.paused_by is not None else ("◷", Role.IDLE)


def _took(row: ScheduleRow, now: int) -> str:
    job = row.job
    if job is None or job.started_at is None:
        return "-"
    return age((job.ended_at or now) - job.started_at, 5)


FIELDS: tuple[Field[ScheduleRow], ...] = (
    Field("NAME", 0, lambda row, now: row.name, role=Role.TEXT),
    Field("WHEN", 24, lambda row, now: row.schedule.says, drop=3),
    Field("CRON", 14, lambda row, now: row.schedule.spec.cron, drop=5),
    Field("NEXT", 7, lambda row, now: age(row.next_at - now, 5) if row.next_at is not None else
          "paused" if row.schedule.paused_by is not None else "-", key=lambda row: row.next_at, to_right=True,
          role=Role.TEXT),
    Field("LAST", 6, lambda row, now: "-" if row.schedule.last is None else age(now - row.schedule.last.at, 5),
          key=lambda row: row.schedule.last.at if row.schedule.last else None, to_right=True),
    Field("RESULT", 12, result, role=result_role),
    Field("JOB", 7, lambda row, now: job_name(row.job.id) if row.job else "-", drop=2),
    Field("TOOK", 6, _took, to_right=True, drop=4),
    Field("COST", 9, lambda row, now: money(row.job.cost_micros, row.job.cost_grade) if row.job else "-",
          key=lambda row: row.job.cost_micros if row.job else None, to_right=True, drop=1),
)  # fmt: skip


def when(at: int, zone: str, now: int) -> str:
    """A time in the schedule's own zone, and how far away it is."""
    local = datetime.fromtimestamp(at / 1000, ZoneInfo(zone))
    return f"{local:%a %Y-%m-%d %H:%M %Z}, in {age(max(0, at - now), 5)}"


def told(row: ScheduleRow, now: int) -> list[Entry]:
    """What the list knows of a schedule."""
    one = row.schedule
    spec = one.spec
    found = [Entry(((clean_line(one.name), Role.HEADING), (f"   {one.says}, {one.zone}", Role.TEXT)))]
    found += fact("problem", one.problem, Role.FAILED)
    found += fact("paused", f"by {one.paused_by}" if one.paused_by else None, Role.HELD)
    found += fact("job", spec.job.title or spec.job.prompt)
    found += fact("project", spec.job.project)
    found += fact("cron", f"{spec.cron}   missed: {spec.missed}   overlap: {spec.overlap}")
    found += fact("kept by", f"{one.by}, since {moment(one.added_at)}")
    return found


def told_whole(row: ScheduleRow, detail: ScheduleDetail, now: int) -> list[Entry]:
    """With its next times and what became of the newest."""
    one = detail.schedule
    found = told(row, now) + heading("next")
    found += lines(when(at, one.zone, now) for at in one.next) or lines(["none"], Role.MUTED)
    if detail.firings:
        found += heading("what became of its newest times")
        found += [Entry(tuple(_firing(firing))) for firing in detail.firings]
    return found


def _firing(one: Firing) -> list[Part]:
    bad = one.outcome in (Outcome.FAILED, Outcome.MISSED)
    job = job_name(one.job) if one.job is not None else "-"
    role = Role.FAILED if bad else Role.TEXT
    return [(f"{moment(one.fire_at)}  ", Role.MUTED), (f"{one.outcome.replace('_', ' '):<10} ", role),
            (f"{job:<8} {clean_line(one.reason)}", Role.MUTED)]  # fmt: skip


def as_yaml(spec: ScheduleSpec) -> str:
    """A schedule as a person writes it."""
    return yaml.safe_dump(msgspec.to_builtins(spec), sort_keys=False, allow_unicode=True)


def template() -> str:
    """A schedule to begin with."""
    spec = ScheduleSpec(cron="0 2 * * *", job=JobSpec(prompt="what is to be done"))
    return f"# five fields: minute hour day month weekday\n{as_yaml(spec)}"
