"""What keeps work from starting, as rows of one list: rate-limit windows, paused targets, jobs that try again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.fields import Field
from console.format import age, job_name, number
from console.meter import meter
from console.roles import Part, Role
from engine.model import Breaker, Job
from engine.window import Standing, WindowState

#: Cells of a gauge.
_BAR = 16

#: Above this a window is drawn as one that soon closes.
_NEARLY = 0.8


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One thing that keeps work from starting, or may."""

    who: str
    """An account, a target, or a job's title."""
    what: str
    used: float | None
    until: int | None
    """When it ends or is reset, milliseconds UTC."""
    stands: str
    waiting: int
    source: str
    seen: int | None
    window: WindowState | None = None
    breaker: Breaker | None = None
    job: Job | None = None

    @property
    def id(self) -> tuple[str, str, int]:
        return self.who, self.what, self.job.id if self.job else 0

    @property
    def account(self) -> str | None:
        return self.window.account if self.window else None


def limit_rows(
    windows: Sequence[WindowState], breakers: Sequence[Breaker], retries: Sequence[Job], now: int
) -> list[LimitRow]:
    """Windows by account, then paused targets, then jobs that try again, the next one first."""
    rows = [_of_window(one) for one in windows]
    rows += [_of_breaker(one) for one in breakers if one.until is not None or one.allowed is not None or one.strikes]
    waiting = [job for job in retries if job.not_before is not None and job.not_before > now]
    return [*rows, *(_of_job(job) for job in sorted(waiting, key=lambda job: job.not_before or 0))]


def _of_window(one: WindowState) -> LimitRow:
    stands = str(one.standing) if one.probing is None else f"{one.probing} at once"
    name = f"{one.window} {one.model}".strip()
    until = one.until if one.until is not None else one.resets_at
    return LimitRow(one.account, name, one.used, until, stands, one.waiting, one.source, one.observed_at, window=one)


def _of_breaker(one: Breaker) -> LimitRow:
    why = one.failure.replace("_", " ") if one.failure else "breaker"
    state = "paused" if one.until is not None else f"{one.allowed} at once" if one.allowed is not None else "watched"
    seen = max(one.strikes, default=None)
    return LimitRow(one.target, why, None, one.until, state, 0, f"{len(one.strikes)} failures", seen, breaker=one)


def _of_job(job: Job) -> LimitRow:
    why = job.failure.replace("_", " ") if job.failure else "not yet"
    stands = "tries again" if job.failure else "starts"
    return LimitRow(job.title, why, None, job.not_before, stands, 1, job_name(job.id), None, job=job)


def limit_role(row: LimitRow, now: int) -> Role:
    """How it stands, as a role."""
    if row.window is not None:
        if row.window.standing is Standing.CLOSED:
            return Role.FAILED
        near = row.window.standing is Standing.WARNING or (row.used is not None and row.used >= _NEARLY)
        return Role.WAIT if near or row.window.probing is not None else Role.DONE
    if row.breaker is not None:
        return Role.FAILED if row.until is not None else Role.WAIT
    return Role.IDLE


def limit_sign(row: LimitRow, now: int) -> Part:
    """The glyph before a row."""
    role = limit_role(row, now)
    if row.window is not None:
        if row.window.standing is Standing.UNKNOWN:
            return "?", Role.MUTED
        return {Role.FAILED: "✗", Role.WAIT: "◔"}.get(role, "✓"), role
    return ("=", role) if row.breaker is not None else ("↻", role)


def left(row: LimitRow, now: int) -> str:
    """How long until it ends; what is past says so."""
    if row.until is None:
        return "-"
    return age(row.until - now, 5) if row.until > now else "now"


FIELDS: tuple[Field[LimitRow], ...] = (
    Field("ACCOUNT", 0, lambda row, now: row.who, role=Role.TEXT),
    Field("WINDOW", 17, lambda row, now: row.what.replace("_", " ")),
    Field("GAUGE", _BAR, lambda row, now: meter(row.used, _BAR) if row.used is not None else "-",
          key=lambda row: row.used, role=limit_role, drop=1),
    Field("USED", 5, lambda row, now: "-" if row.used is None else f"{row.used:.0%}", key=lambda row: row.used,
          to_right=True, role=Role.TEXT),
    Field("RESETS", 7, left, key=lambda row: row.until, to_right=True, role=Role.TEXT),
    Field("STANDS", 11, lambda row, now: row.stands, role=limit_role, drop=2),
    Field("HELD", 5, lambda row, now: number(row.waiting) if row.waiting else "-", key=lambda row: row.waiting,
          to_right=True),
    Field("SAID BY", 26, lambda row, now: row.source, drop=4),
    Field("SEEN", 6, lambda row, now: age(now - row.seen, 5) if row.seen is not None else "-",
          key=lambda row: row.seen, to_right=True, drop=3),
)  # fmt: skip
