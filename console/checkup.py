"""How the engine and what it needs are, as rows: each says what was found, and how to mend it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from console.fields import Field
from console.format import age, clean_line, moment, number, plural
from console.recall import status_text
from console.roles import Part, Role
from console.telling import fact
from console.transcript import Entry
from engine.memory.answers import MemoryStatus
from engine.model import AgentStatus, Breaker, Cap, Status

_MIB = 1 << 20

#: A login that ends within so long is worth knowing: a week.
_SOON = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class HealthRow:
    """One thing that was looked at. `ok`: None where nothing is set up."""

    area: str
    name: str
    ok: bool | None
    found: str
    mend: str = ""
    grave: bool = True
    """Not ok is a fault; else it is only worth knowing."""


def health_rows(
    status: Status, ready: str, agents: Sequence[AgentStatus], memory: MemoryStatus, caps: Sequence[Cap],
    breakers: Sequence[Breaker], figures: dict[str, float], now: int,
) -> list[HealthRow]:  # fmt: skip
    """All that is known, the engine first."""
    rows = _engine(status, ready, figures, now)
    rows += [row for agent in agents for row in _agent(agent, now)]
    rows.append(HealthRow("memory", "index", not memory.problem, memory.problem or status_text(memory),
                          "headway doctor says what to do" if memory.problem else ""))  # fmt: skip
    rows.append(HealthRow("memory", "size", True, f"{memory.bytes / _MIB:.1f} MiB"))
    if memory.without:
        rows.append(
            HealthRow("memory", "without", False, memory.without, "docs/memory.md: what finds by meaning", False)
        )
    rows += [_cap(one) for one in caps]
    paused = [one for one in breakers if one.until is not None and one.until > now]
    rows += [
        HealthRow("targets", one.target, False, f"paused after {one.failure}, {age((one.until or now) - now)} left",
                  "L says when; headway breakers", False)
        for one in paused
    ]  # fmt: skip
    return rows


def _engine(status: Status, ready: str, figures: dict[str, float], now: int) -> list[HealthRow]:
    jobs = status.counts
    ended = jobs.succeeded + jobs.failed + jobs.cancelled
    free = "none is held back" if not status.held_all else f"all held by {status.held_all}"
    return [
        HealthRow("engine", "takes work", not ready, ready or "yes",
                  ":release all, or headway serve" if ready else "", grave=not status.held_all),
        HealthRow("engine", "version", True, f"{status.version}, process {status.pid}"),
        HealthRow("engine", "up", True, f"{age(now - status.started_at)}, since {moment(status.started_at)}"),
        HealthRow("engine", "home", True, status.home),
        HealthRow("engine", "slots", True, f"{jobs.running + jobs.gating} of {status.slots} busy, {free}"),
        HealthRow("engine", "database", True, f"{figures.get('headway_database_bytes', 0) / _MIB:.1f} MiB, "
                  f"{number(jobs.unfinished)} jobs to do, {number(ended)} ended",
                  "headway prune removes ended jobs" if ended > 100_000 else ""),
        HealthRow("engine", "log", True, f"{number(status.seq)} events, "
                  f"{plural(int(figures.get('headway_subscribers', 0)), 'reader')}"),
    ]  # fmt: skip


def _agent(one: AgentStatus, now: int) -> list[HealthRow]:
    there = one.version is not None
    found = f"{one.program} {one.version}" if there else one.problem or "cannot be started"
    rows = [HealthRow("agent", one.agent, there, found, "" if there else f"install {one.program}, or leave it", False)]
    for account in one.accounts:
        ends = account.expires_at
        soon = ends is not None and ends - now < _SOON
        says = f"{account.found}{f', ends in {age(max(0, ends - now))}' if ends is not None else ''}"
        ok = False if soon and account.ok else account.ok
        rows.append(
            HealthRow("login", f"{one.agent}@{account.name}", ok, says, account.mend, grave=account.ok is False)
        )
    return rows


def _cap(one: Cap) -> HealthRow:
    limit = one.limit if one.limit is not None else "no limit"
    return HealthRow("cap", one.scope, True, f"{one.running} of {limit} at once, by {one.source}")


def figures_of(text: str) -> dict[str, float]:
    """The figures without labels in the engine's metrics."""
    return {name: float(value) for name, value in re.findall(r"^(headway_[a-z_]+) ([0-9.e+-]+)$", text, re.MULTILINE)}


def role(row: HealthRow, now: int) -> Role:
    if row.ok is None:
        return Role.MUTED
    return Role.DONE if row.ok else Role.FAILED if row.grave else Role.WAIT


def sign(row: HealthRow, now: int) -> Part:
    return {Role.DONE: "✓", Role.FAILED: "✗", Role.WAIT: "◔"}.get(role(row, now), " "), role(row, now)


def word(row: HealthRow, now: int) -> str:
    return {Role.DONE: "ok", Role.FAILED: "wrong", Role.WAIT: "look"}.get(role(row, now), "-")


FIELDS: tuple[Field[HealthRow], ...] = (
    Field("AREA", 8, lambda row, now: row.area),
    Field("WHAT", 18, lambda row, now: row.name, role=Role.TEXT),
    Field("STANDS", 6, word, role=role),
    Field("FOUND", 0, lambda row, now: row.found, role=Role.TEXT),
    Field("HOW TO MEND IT", 40, lambda row, now: row.mend or "-", role=Role.WAIT, drop=1),
)  # fmt: skip


def told(row: HealthRow, now: int) -> list[Entry]:
    found = [Entry(((clean_line(row.name), Role.HEADING), (f"   {row.area}", Role.MUTED)))]
    found += fact("stands", word(row, now), role(row, now))
    found += fact("found", row.found)
    return found + fact("to mend it", row.mend, Role.WAIT)
