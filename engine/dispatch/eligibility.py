"""Whether a job may start now, and if not, why. Pure.

The dispatcher acts on these reasons and the operator reads them: they are one function, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from engine.model import State
from engine.store.rows import JobRow


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world as far as starting a job depends on it. `now` is milliseconds UTC."""

    now: int
    running: Mapping[str, int]
    """Attempts that hold a slot, by agent."""
    slots: int
    """Attempts at once, over all agents."""
    caps: Mapping[str, int]
    """Attempts at once of an agent, for those that have a cap."""
    held_all: str | None = None
    draining: bool = False

    @property
    def total(self) -> int:
        return sum(self.running.values())

    def with_one_more(self, agent: str) -> Snapshot:
        return replace(self, running={**self.running, agent: self.running.get(agent, 0) + 1})

    def free(self, agent: str) -> int:
        """How many more attempts of an agent may start."""
        left = self.slots - self.total
        cap = self.caps.get(agent)
        return max(0, left if cap is None else min(left, cap - self.running.get(agent, 0)))


def reasons(job: JobRow, world: Snapshot) -> list[str]:
    """Why a job does not start now, each a line for the operator; none if it may start, runs, or has ended."""
    if job.state in (State.RUNNING, State.GATING) or job.ended_at is not None:
        return []
    found = []
    if world.draining:
        found.append("the engine is draining: nothing new starts")
    if world.held_all is not None:
        found.append(f"everything is held by {world.held_all}; `headway release --all` ends it")
    if job.held_by is not None:
        found.append(f"held by {job.held_by}; `headway release {job.id}` ends it")
    if job.not_before is not None and job.not_before > world.now:
        when = datetime.fromtimestamp(job.not_before / 1000, UTC)
        found.append(f"not before {when:%Y-%m-%d %H:%M:%S} UTC")
    cap = world.caps.get(job.agent)
    busy = world.running.get(job.agent, 0)
    if cap is not None and busy >= cap:
        found.append(f"{busy} of {cap} {job.agent} attempts run")
    if world.total >= world.slots:
        found.append(f"{world.total} of {world.slots} attempts run")
    return found


def choose(candidates: Iterable[JobRow], world: Snapshot) -> list[JobRow]:
    """The candidates that may start now, each counted against the caps before the next is asked about."""
    chosen = []
    for job in candidates:
        if not reasons(job, world):
            chosen.append(job)
            world = world.with_one_more(job.agent)
    return chosen
