"""Who holds attempts to their limits on this machine, and what the kernel did about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.config import Settings
from engine.model import Resources
from engine.runner import cgroup, resources
from engine.runner.cgroup import Cgroups
from engine.runner.cut import Cut
from engine.runner.resources import NOTHING, Taken, out_of_memory, too_many
from engine.store import Transaction
from engine.store.rows import JobRow, read_spec

WATCHED = "the engine, which adds up what its processes take, the oftener the nearer it is to a limit"
GROUP = "the kernel, by a cgroup of its own"
SCOPE = "the kernel, by a scope of systemd"


@dataclass(frozen=True, slots=True)
class Enforcer:
    """Tells of limits and of who holds attempts to them. One for an engine."""

    settings: Settings
    cgroups: Cgroups

    def told(self, may: Resources) -> str | None:
        """What an attempt may take, and who holds it to that; None where it may take anything."""
        if may == NOTHING:
            return None
        whole = may.memory or may.pids or may.cpu_time
        return f"{may}: held to that by {way(self.cgroups)}" if whole else str(may)

    def notes(self, tx: Transaction, row: JobRow) -> list[str]:
        """What an attempt of a job may take, where it has not ended."""
        if row.ended_at is not None:
            return []
        told = self.told(resources.of_job(row, read_spec(tx.connection, row), row.target, self.settings))
        return [f"an attempt may take {told}"] if told else []


def way(cgroups: Cgroups) -> str:
    """By what the memory and the number of processes of an attempt are limited, in words."""
    if cgroups.limits:
        return GROUP
    return SCOPE if cgroups.scopes is not None else WATCHED


def verdict(group: Path | None, may: Resources, peak: int | None, kept: Path | None = None) -> Cut | None:
    """What the kernel did to an attempt for its limits, read off its group before that is removed.

    `kept`: where its shim has put what stood there, for a group that goes by itself.
    """
    if group is None or not group.exists():
        group = kept
    if group is None:
        return None
    if may.memory and cgroup.ended_for_memory(group):
        return out_of_memory(may.memory, max(peak or 0, cgroup.peak(group) or 0))
    if may.pids and (refused := cgroup.refused(group)):
        return too_many(may.pids, Taken(refused=refused))
    return None
