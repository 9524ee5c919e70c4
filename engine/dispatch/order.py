"""Which of the jobs that may start go first. Pure.

First the project: the one with the most urgent job, where a priority rises by one for each hour (`ageing`) that the
job waits while nothing of its project starts; of equals, the one that has the least of the slots for its share. Then,
within the project, the job: by a priority that rises with all of its waiting, and by its place in the queue. So neither
does a flood of one project keep another from the slots, nor an endless row of urgent jobs the others of their project.

There can be a lane for each job, so nothing here looks at all of them twice: lanes that the same things keep from
starting share a gate, and behind a gate the lines of each project stand in heaps that follow the clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from engine.dispatch.eligibility import of_lane
from engine.dispatch.world import World
from engine.model import ALL, Cause
from engine.store.lanes import Lane
from engine.store.rows import JobRow

Key = tuple[float, ...]


@dataclass(slots=True, eq=False)
class Line:
    """The startable jobs of one lane, best first. `rest` is read only as far as it is needed."""

    lane: Lane
    head: JobRow
    rest: Iterator[JobRow]

    def key(self, world: World) -> Key:
        """What a job goes by within its project."""
        return world.level(self.lane.priority, since(self.head)), self.head.rank, self.head.id

    def changes(self, world: World) -> int | None:
        return world.rises(self.lane.priority, since(self.head))


def since(job: JobRow) -> int:
    """Since when a job waits. Each attempt begins the waiting anew."""
    return max(job.created_at, job.started_at or 0)


class _Ordered(Protocol):
    def key(self, world: World) -> Key | None: ...

    def changes(self, world: World) -> int | None: ...


T = TypeVar("T", bound=_Ordered)


@dataclass(slots=True)
class _Tops(Generic[T]):
    """Things by a key that changes at known times. To ask for the first costs the logarithm of their number."""

    heap: list[tuple[Key, int, T]] = field(default_factory=list)
    timers: list[tuple[int, int, T]] = field(default_factory=list)
    valid: dict[T, int] = field(default_factory=dict)
    """The number under which a thing was put in last: what stands under an older one is passed over."""
    numbers: int = 0

    def put(self, one: T, world: World) -> None:
        """A new thing, or one whose key has changed. Without a key it is taken out."""
        key = one.key(world)
        if key is None:
            self.valid.pop(one, None)
            return
        self.numbers += 1
        self.valid[one] = self.numbers
        heapq.heappush(self.heap, (key, self.numbers, one))
        if (at := one.changes(world)) is not None:
            heapq.heappush(self.timers, (at, self.numbers, one))

    def first(self, world: World) -> tuple[Key, T] | None:
        while self.timers and self.timers[0][0] <= world.now:
            _, number, one = heapq.heappop(self.timers)
            if self.valid.get(one) == number:
                self.put(one, world)
        while self.heap:
            key, number, one = self.heap[0]
            if self.valid.get(one) == number:
                return key, one
            heapq.heappop(self.heap)
        return None


@dataclass(slots=True, eq=False)
class _Group:
    """The lines of one project behind one gate."""

    project: str | None
    served: int
    """Waiting before that is worth nothing to the project."""
    fresh: _Tops[Line] = field(default_factory=_Tops)
    """Lines whose heads wait since a later time: among projects they go by what they go by within theirs."""
    passed: _Tops[Line] = field(default_factory=_Tops)
    """The others: among projects they have all waited for the same time."""
    places: dict[int, list[tuple[int, int, Line]]] = field(default_factory=dict)
    """By priority, heaps of what is in `passed`: rank, id, line. What is not in its place any more is passed over."""

    def put(self, line: Line, world: World) -> None:
        self.drop(line)
        if since(line.head) > self.served:
            self.fresh.put(line, world)
            return
        self.passed.put(line, world)
        heap = self.places.setdefault(line.lane.priority, [])
        heapq.heappush(heap, (line.head.rank, line.head.id, line))

    def drop(self, line: Line) -> None:
        self.fresh.valid.pop(line, None)
        self.passed.valid.pop(line, None)

    def serve(self, world: World) -> None:
        """Take note of when a job of the project has started last."""
        if (served := world.served.get(self.project, 0)) == self.served:
            return
        self.served = served
        for line in [line for line in self.fresh.valid if since(line.head) <= self.served]:
            self.put(line, world)

    def best(self, world: World) -> tuple[Key, Line] | None:
        found = [one for one in (self.fresh.first(world), self.passed.first(world)) if one is not None]
        return min(found, key=lambda one: one[0], default=None)

    def key(self, world: World) -> Key | None:
        """What a project goes by among others."""
        found = [one[0]] if (one := self.fresh.first(world)) is not None else []
        for priority, heap in self.places.items():
            while heap and not self._stands(*heap[0]):
                heapq.heappop(heap)
            if heap:
                found.append((world.level(priority, self.served), *heap[0][:2]))
        if not found:
            return None
        level, rank, job = min(found)
        return level, world.load(self.project), rank, job

    def changes(self, world: World) -> int | None:
        times = [world.rises(priority, self.served) for priority, heap in self.places.items() if heap]
        if self.fresh.timers:
            times.append(self.fresh.timers[0][0])
        return min((at for at in times if at is not None), default=None)

    def _stands(self, rank: int, job: int, line: Line) -> bool:
        return line in self.passed.valid and (line.head.rank, line.head.id) == (rank, job)


@dataclass(slots=True, eq=False)
class _Gate:
    """Lanes that the same things keep from starting."""

    lane: Lane
    """Any of them."""
    groups: dict[str | None, _Group] = field(default_factory=dict)
    order: _Tops[_Group] = field(default_factory=_Tops)
    moved: set[_Group] = field(default_factory=set)
    """Groups of which something has changed since they were put into the order."""

    def first(self, world: World) -> tuple[Key, _Group] | None:
        """The project that is first, with what it goes by."""
        for group in self.moved:
            group.serve(world)
            self.order.put(group, world)
        self.moved.clear()
        return self.order.first(world)

    def key(self, world: World) -> Key | None:
        """What its first project goes by among those of other gates."""
        found = self.first(world)
        return None if found is None else found[0]

    def changes(self, world: World) -> int | None:
        return self.order.timers[0][0] if self.order.timers else None


class Lineup:
    """The lines that wait, in their order, while attempts begin and the clock of the world goes on.

    Which scopes have a cap or a hold has to stay as it is while it is used.
    """

    def __init__(self, world: World, lines: Iterable[Line] = ()) -> None:
        self._world = world
        self._gates: dict[tuple[object, ...], _Gate] = {}
        self._gate_of: dict[Line, _Gate] = {}
        self._of: dict[str | None, dict[_Gate, _Group]] = {}
        """By project."""
        self._order: _Tops[_Gate] = _Tops()
        """Gates that are not known to be shut."""
        self._moved: set[_Gate] = set()
        """Gates of which something has changed since they were put into the order."""
        self._shut: set[_Gate] = set()
        self._shut_by: dict[str, set[_Gate]] = {}
        """What is shut because of a scope: it stays so until something of that scope ends."""
        for line in lines:
            self.put(line)

    def put(self, line: Line) -> None:
        """A line that is new, or has another head than before."""
        gate = self._gate_of.get(line)
        if gate is None:
            gate = self._gate_of[line] = self._gate(line.lane)
        group = gate.groups[line.lane.project]
        group.put(line, self._world)
        gate.moved.add(group)
        self._moved.add(gate)

    def _gate(self, lane: Lane) -> _Gate:
        """The gate of a lane, with a group of its project."""
        world, project = self._world, lane.project
        gate = self._gates.get(named := _gate(lane, world))
        if gate is None:
            gate = self._gates[named] = _Gate(lane)
        if project not in gate.groups:
            group = gate.groups[project] = _Group(project, world.served.get(project, 0))
            self._of.setdefault(project, {})[gate] = group
        return gate

    def drop(self, line: Line) -> None:
        """Nothing of a line can start any more."""
        gate = self._gate_of.pop(line)
        group = gate.groups[line.lane.project]
        group.drop(line)
        gate.moved.add(group)
        self._moved.add(gate)

    def end(self, lane: Lane, began: int | None = None) -> None:
        """One attempt of a lane has ended: what was shut because of it is looked at again. `began`: when it began."""
        self._world.end(lane, began)
        self._touch(lane.project)
        for scope in lane.scopes:
            self.reopen(scope)

    def reopen(self, scope: str) -> None:
        """Something of a scope has changed: what is shut because of it is looked at again."""
        opened = self._shut_by.pop(scope, None)
        if opened:
            self._shut -= opened
            self._moved |= opened

    def look_again(self) -> None:
        """Time has passed, or something else has changed: what could not start may be able to."""
        self._moved |= self._shut
        self._shut.clear()
        self._shut_by.clear()

    def take(self, room: int) -> list[JobRow]:
        """The jobs that start now, at most so many, best first. They count as running from now on."""
        if len(self._gate_of) == 1:
            return self._take_from(next(iter(self._gate_of)), room)
        chosen: list[JobRow] = []
        while len(chosen) < room and (line := self._next()) is not None:
            chosen.append(line.head)
            self._start(line)
        return chosen

    def _take_from(self, line: Line, room: int) -> list[JobRow]:
        """The same where one line is all that there is, as it mostly is: in half the time."""
        chosen: list[JobRow] = []
        while len(chosen) < room and not of_lane(line.lane, self._world):
            chosen.append(line.head)
            self._world.start(line.lane)
            if (following := next(line.rest, None)) is None:
                self.drop(line)
                return chosen
            line.head = following
        if chosen:
            self.put(line)
        return chosen

    def waits_for(self, cause: Cause) -> bool:
        """Whether something keeps lines from starting that have jobs to start."""
        gates = [gate for gate in self._gates.values() if gate.first(self._world) is not None]
        return any(reason.cause is cause for gate in gates for reason in of_lane(gate.lane, self._world))

    def due(self) -> int | None:
        """The first moment at which a window, or what is left of one, may keep lines from starting no longer."""
        if not self._world.windows:
            return None
        gates = [gate for gate in self._gates.values() if gate.first(self._world) is not None]
        times = [
            reason.until
            for gate in gates
            for reason in of_lane(gate.lane, self._world)
            if reason.cause in (Cause.LIMIT, Cause.PACING)
        ]
        return min((at for at in times if at is not None), default=None)

    def _next(self) -> Line | None:
        """The line that is first of all that are not kept from starting.

        Only of the gate that would be first is it asked whether it is open: what keeps one shut stays while attempts
        are only added, so that it is asked once.
        """
        world = self._world
        for gate in self._moved:
            if gate not in self._shut:
                self._order.put(gate, world)
        self._moved.clear()
        while (top := self._order.first(world)) is not None and self._is_shut(top[1]):
            pass
        if top is None:
            return None
        leads = top[1]
        first = leads.first(world)
        assert first is not None, "it has a key"
        of_project = self._of[first[1].project]
        while True:
            lines = [
                (*best, gate)
                for gate, group in of_project.items()
                if (group.fresh.valid or group.passed.valid)
                and gate not in self._shut
                and (best := group.best(world)) is not None
            ]
            _, line, gate = min(lines, key=lambda one: one[0])
            if gate is leads or not self._is_shut(gate):
                return line

    def _is_shut(self, gate: _Gate) -> bool:
        """Whether nothing of a gate may start; then it is taken out of the order."""
        found = of_lane(gate.lane, self._world)
        if not found:
            return False
        self._shut.add(gate)
        self._order.valid.pop(gate, None)
        first = found[0]
        if (scope := ALL if first.cause is Cause.MEMORY else first.scope) is not None:
            self._shut_by.setdefault(scope, set()).add(gate)
        return True

    def _start(self, line: Line) -> None:
        world, project = self._world, line.lane.project
        world.start(line.lane)
        following = next(line.rest, None)
        if following is None:
            self.drop(line)
        else:
            line.head = following
            self.put(line)
        self._touch(project)

    def _touch(self, project: str | None) -> None:
        """What a project has of the slots has changed."""
        for gate, group in self._of.get(project, {}).items():
            if group.fresh.valid or group.passed.valid:
                gate.moved.add(group)
                self._moved.add(gate)


def _gate(lane: Lane, world: World) -> tuple[object, ...]:
    """What of a lane can keep it from starting in this world. Of a project, a tag or a kind nothing may be said."""
    limited = (*(f"tag:{tag}" for tag in lane.tags.split()), f"project:{lane.project or ''}")
    narrow = (scope for scope in limited if scope in world.caps or scope in world.holds or scope in world.exhausted)
    kept = (lane.project,) if world.privacy.keeps(lane.project) else ()
    kind = (f"kind:{lane.kind}",) if f"kind:{lane.kind}" in world.exhausted else ()
    return lane.agent, lane.model, lane.account, world.paced(lane) is not None, *kept, *kind, *narrow
