"""The world as far as starting a job depends on it: values only, read by who builds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.dispatch import windows
from engine.dispatch.nodes import Nodes
from engine.dispatch.pacing import UNPACED, Pacing
from engine.dispatch.privacy import Privacy
from engine.model import ALL, Breaker
from engine.store.lanes import Lane
from engine.window import Window

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Memory:
    """What there is for further attempts, in bytes."""

    free: int = 1 << 60
    """Available, less the reserve, less what the running ones are still expected to take."""
    footprints: Mapping[str, int] = field(default_factory=dict)
    """What one attempt of an agent is expected to hold, by agent."""

    def of(self, agent: str) -> int:
        return self.footprints.get(agent, 0)


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A shared budget that is used up."""

    text: str
    until: int | None
    """When it begins anew."""
    card: int | None = None
    """The card that asks what follows."""


@dataclass(slots=True)
class World:
    """A moment of the engine. `now` is milliseconds UTC. The dispatcher and the forecast move it on."""

    now: int
    running: dict[str, int] = field(default_factory=dict)
    """Attempts that hold a slot, by scope: `all`, `agent:claude`, `project:/src/api`."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """Attempts at once, for the scopes that have a cap."""
    holds: Mapping[str, str] = field(default_factory=dict)
    """Scope -> who holds it."""
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    """By target, as it is written."""
    windows: Mapping[str, tuple[Window, ...]] = field(default_factory=dict)
    """By account, as `claude@work`."""
    probes: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Attempts that run and were begun since the end of a window that is on its ramp, by its key."""
    pacing: Mapping[str, Pacing] = field(default_factory=dict)
    """By account, for those that differ from `usual_pacing`."""
    usual_pacing: Pacing = UNPACED
    exhausted: Mapping[str, Exhausted] = field(default_factory=dict)
    """The budgets that are used up, by scope."""
    workers: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """The persistent workers that belong to a job now: which, and its state."""
    memory: Memory = Memory()
    nodes: Nodes = field(default_factory=Nodes)
    """The cluster's."""
    taken: int = 0
    """Bytes that the attempts which `start` added are expected to hold."""
    draining: bool = False
    shares: Mapping[str | None, float] = field(default_factory=dict)
    """The weight of a project, where it is not 1."""
    served: dict[str | None, int] = field(default_factory=dict)
    """When a job of a project was last given to an attempt."""
    privacy: Privacy = field(default_factory=Privacy)
    """Which projects' jobs may go where."""
    ageing: int = HOUR_MS
    """Waiting so long is worth one priority; 0 is never."""

    @property
    def barred_routes(self) -> frozenset[str]:
        """The routes whose budget is used up. A lane holds jobs of several."""
        routes = (scope.removeprefix("route:") for scope in self.exhausted if scope.startswith("route:"))
        return frozenset(routes)

    def start(self, lane: Lane) -> None:
        """One more attempt of a lane runs."""
        for scope in lane.scopes:
            self.running[scope] = self.running.get(scope, 0) + 1
        self.served[lane.project] = self.now
        if self.nodes.takes(lane.target):
            self.nodes.start(lane.target)
        else:
            self.taken += self.memory.of(lane.agent)
        for one in self._probed(lane):
            self.probes[one.key] += 1

    def end(self, lane: Lane, began: int | None = None) -> None:
        """One attempt of a lane has ended. `began`: when it was given its slot, where that is known."""
        for scope in lane.scopes:
            self.running[scope] = self.running.get(scope, 0) - 1
        if self.nodes.takes(lane.target):
            self.nodes.end(lane.target)
        else:
            self.taken -= self.memory.of(lane.agent)
        for one in self._probed(lane):
            if began is None or began >= (one.until or 0):  # else it was no probe
                self.probes[one.key] = max(0, self.probes[one.key] - 1)

    def _probed(self, lane: Lane) -> list[Window]:
        """The windows that an attempt of a lane which begins now probes."""
        if not self.probes:
            return []
        found = (one for one in self.windows_of(lane) if one.key in self.probes)
        return [one for one in found if not windows.is_closed(one, self.now)]

    def windows_of(self, lane: Lane) -> list[Window]:
        """The windows that an attempt of a lane meets."""
        return [one for one in self.windows.get(lane.paid_by, ()) if windows.applies(one, lane.model)]

    def paced(self, lane: Lane) -> Pacing | None:
        """How jobs of a lane are paced; None where they are not."""
        one = self.pacing.get(lane.paid_by, self.usual_pacing)
        return one if one.paces(lane.priority) else None

    def serve(self, lane: Lane, began: int) -> None:
        """An attempt of a lane, begun then, has gone well: what is on its ramp lets more go."""
        if not self.probes:
            return
        found = self.windows.get(lane.paid_by, ())
        after = tuple(
            windows.succeeded(one, began, self.now) if windows.applies(one, lane.model) else one for one in found
        )
        if after != found:
            self.windows = {**self.windows, lane.paid_by: after}

    @property
    def free(self) -> int:
        """Bytes that there are for one more attempt."""
        return self.memory.free - self.taken

    def copy(self) -> World:
        return replace(
            self,
            running=dict(self.running),
            served=dict(self.served),
            probes=dict(self.probes),
            nodes=self.nodes.copy(),
        )

    @property
    def total(self) -> int:
        return self.running.get(ALL, 0)

    @property
    def full(self) -> bool:
        """No slot is left, whatever for."""
        return self.total >= self.caps.get(ALL, self.total + 1)

    def load(self, project: str | None) -> float:
        """What a project has of the slots, by its weight."""
        return self.running.get(f"project:{project or ''}", 0) / self.shares.get(project, 1.0)

    def level(self, priority: int, since: int) -> int:
        """A priority after so much waiting."""
        return priority if self.ageing <= 0 else max(0, priority - max(0, self.now - since) // self.ageing)

    def rises(self, priority: int, since: int) -> int | None:
        """When `level` is next better than it is now; None where it stays."""
        waited = max(0, self.now - since)
        if self.ageing <= 0 or priority - waited // self.ageing <= 0:
            return None
        return since + (waited // self.ageing + 1) * self.ageing
