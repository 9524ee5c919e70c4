"""When every unfinished job is expected to start and to finish. Pure.

A simulation: the dispatcher's own `Lineup` in a world whose clock jumps from one end to the next, with the durations
that jobs of the same kind on the same target have had. Once with the median of them, and once with the 90th
percentile, which is later than nine of ten will be. What has no history, or waits for a person, has no time.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.dispatch import breaker
from engine.dispatch.order import Lineup
from engine.dispatch.waiting import Waiting
from engine.dispatch.world import World
from engine.model import Estimate, State
from engine.store.lanes import Lane
from engine.store.queue import History, Open, Queue, Running, Took
from engine.store.rows import JobRow, lane_of

REACH = 5_000  #: jobs that are simulated, the first in the queue
_ROOM = 1 << 30


@dataclass(frozen=True, slots=True)
class Span:
    """When a job runs, in milliseconds UTC; None where that is not known."""

    start: int | None = None
    finish: int | None = None


def forecast(queue: Queue, world: World, history: History) -> dict[int, Estimate]:
    """An estimate for each job of the queue, by id. `world` is not changed."""
    likely = simulate(queue, world.copy(), _Usual(history, slow=False))
    late = simulate(queue, world.copy(), _Usual(history, slow=True))
    rows = {**queue.waiting, **{one.job.id: one.job for one in queue.running}}
    return {job: _estimate(row, likely[job], late[job], history, queue, world.now) for job, row in rows.items()}


def _estimate(row: JobRow, likely: Span, late: Span, history: History, queue: Queue, now: int) -> Estimate:
    took = history.of(row.target, row.kind)
    return Estimate(
        job=row.id,
        target=str(row.target),
        start=likely.start,
        start_late=late.start,
        finish=likely.finish,
        finish_late=late.finish,
        cost_micros=took.cost if took is not None else None,
        basis=took.count if took is not None else 0,
        why=_why(row, likely, took, queue) or _outlasts(row, took, now),
    )


def _outlasts(row: JobRow, took: Took | None, now: int) -> str:
    if row.state is not State.RUNNING or took is None or now - (row.started_at or now) <= took.p90:
        return ""
    return "it has run longer than nine of ten like it: its end is a guess"


def _why(row: JobRow, likely: Span, took: Took | None, queue: Queue) -> str:
    """Why a time is not known."""
    if likely.finish is not None:
        return ""
    if row.held_by is not None and row.state is not State.RUNNING:
        return f"it is held by {row.held_by}"
    if row.deadline is not None and likely.start is None:
        return "as things stand, its deadline comes before its turn"
    if took is None:
        sort = f"{row.kind} on {row.target}" if row.kind is not None else str(row.target)
        return f"no {sort} job has succeeded yet, so that there is no history to go by"
    if row.id in queue.needs:
        return "it comes after jobs of which nobody knows when they end"
    return "it waits behind jobs of which nobody knows when they end, or for something without a time"


class Lasts(Protocol):
    """How long attempts last, in milliseconds; None where nobody knows."""

    def of(self, row: JobRow, lane: Lane) -> int | None:
        """One that is to begin."""
        ...

    def until(self, one: Running, now: int) -> int | None:
        """When one that runs ends, milliseconds UTC."""
        ...


@dataclass(frozen=True, slots=True)
class _Usual:
    """As long as others mostly did, or as the slow tenth of them."""

    history: History
    slow: bool

    def of(self, row: JobRow, lane: Lane) -> int | None:
        found = self.history.of(lane.target, row.kind)
        return None if found is None else found.p90 if self.slow else found.median

    def until(self, one: Running, now: int) -> int | None:
        return _end_of(one, self.history.of(one.lane.target, one.job.kind), now, slow=self.slow)


@dataclass(slots=True)
class _Simulation:
    queue: Queue
    world: World
    lasts: Lasts
    lineup: Lineup
    spans: dict[int, Span] = field(default_factory=dict)
    lines: dict[Lane, Waiting] = field(default_factory=dict)
    happenings: list[tuple[int, int, int]] = field(default_factory=list)
    """A heap of time, kind of happening, job."""
    ends: dict[int, Lane] = field(default_factory=dict)
    dues: set[int] = field(default_factory=set)
    """The moments at which windows are looked at again."""
    needs: dict[int, tuple[set[int], set[int]]] = field(default_factory=dict)
    needed_by: dict[int, list[int]] = field(default_factory=dict)

    def enter(self, row: JobRow) -> None:
        """A job that nothing of its own keeps from starting any more, or only its time."""
        if row.held_by is not None or (row.deadline is not None and row.deadline <= self.world.now):
            return
        if row.not_before is not None and row.not_before > self.world.now:
            heapq.heappush(self.happenings, (row.not_before, _DUE, row.id))
            return
        if row.deadline is not None:
            heapq.heappush(self.happenings, (row.deadline, _LATE, row.id))
        lane = lane_of(row)
        waiting = self.lines.setdefault(lane, Waiting(lane))
        if waiting.enter(row):
            assert waiting.line is not None, "it has a head now"
            self.lineup.put(waiting.line)

    def start(self) -> None:
        """Let everything start that may."""
        self.lineup.look_again()
        for row in self.lineup.take(_ROOM):
            lane = lane_of(row)
            took = self.lasts.of(row, lane)
            # Not nothing, however short: the slot is taken for a moment, and what waits for it does not start now.
            took = None if took is None else max(1, took)
            now = self.world.now
            self.spans[row.id] = Span(now, None if took is None else now + took)
            self.ends[row.id] = lane
            if took is not None:
                heapq.heappush(self.happenings, (now + took, _END, row.id))

    def late(self, row: JobRow) -> None:
        """The deadline of a job has come before its turn: it never starts."""
        lane = lane_of(row)
        if row.id in self.ends or self.spans[row.id].start is not None:
            return
        waiting = self.lines[lane]
        if waiting.leave(row):
            assert waiting.line is not None, "it had a head"
            (self.lineup.put if waiting.stands else self.lineup.drop)(waiting.line)

    def end(self, job: int) -> None:
        lane = self.ends.pop(job)
        began = self.spans[job].start or 0
        self.lineup.end(lane, began)
        self.world.serve(lane, began)
        if (one := self.world.breakers.get(target := str(lane.target))) is not None:
            self.world.breakers = {**self.world.breakers, target: breaker.after_success(one, self.world.now)}
        for other in self.needed_by.pop(job, ()):
            if other not in self.needs:
                continue  # another of several was enough
            every, some = self.needs[other]
            every.discard(job)
            if job in some:
                some.clear()
            if not every and not some:
                del self.needs[other]
                self.enter(self.queue.waiting[other])


_END, _DUE, _LATE, _RELAX = 0, 1, 2, 3


def simulate(queue: Queue, world: World, lasts: Lasts) -> dict[int, Span]:
    """When each job runs, if they last so long. Changes `world`."""
    run = _Simulation(queue, world, lasts, Lineup(world))
    for one in queue.running:
        finish = lasts.until(one, world.now)
        run.spans[one.job.id] = Span(one.since, finish)
        run.ends[one.job.id] = one.lane
        if finish is not None:
            heapq.heappush(run.happenings, (finish, _END, one.job.id))
    for row in queue.waiting.values():
        run.spans[row.id] = Span()
        if row.state is State.BLOCKED and (waits := queue.needs.get(row.id, Open())) != Open():
            run.needs[row.id] = (set(waits.all_of), set(waits.any_of))
            for other in waits.all_of | waits.any_of:
                run.needed_by.setdefault(other, []).append(row.id)
        else:
            run.enter(row)
    for paused in world.breakers.values():
        if paused.until is not None and paused.until > world.now:
            heapq.heappush(run.happenings, (paused.until, _RELAX, 0))
    while True:
        run.start()
        if (due := run.lineup.due()) is not None and due not in run.dues:
            run.dues.add(due)
            heapq.heappush(run.happenings, (due, _RELAX, 0))
        if not run.happenings:
            return run.spans
        # All of one moment: what ends then and what is due then are chosen from together.
        world.now = max(world.now, run.happenings[0][0])
        while run.happenings and run.happenings[0][0] <= world.now:
            _happen(run, *heapq.heappop(run.happenings)[1:])


def _happen(run: _Simulation, kind: int, job: int) -> None:
    if kind == _END:
        run.end(job)
    elif kind == _DUE:
        run.enter(run.queue.waiting[job])
    elif kind == _LATE:
        run.late(run.queue.waiting[job])


def _end_of(one: Running, took: Took | None, now: int, *, slow: bool) -> int | None:
    """When a running attempt ends. One that outlasts the median is taken for a slow one, and one that outlasts even
    that for one that needs a quarter more than it has had.
    """
    if took is None:
        return None
    spans = (took.p90,) if slow else (took.median, took.p90)
    ahead = [one.since + span for span in spans if one.since + span > now]
    return ahead[0] if ahead else overdue(one, now)


def overdue(one: Running, now: int) -> int:
    """When an attempt ends that has outlasted all others: a guess."""
    return now + max(1_000, (now - one.since) // 4)


def last_finish(estimates: Mapping[int, Estimate]) -> int | None:
    """When the last job finishes; None where that is not known of every one."""
    finishes = [one.finish for one in estimates.values()]
    return max((at for at in finishes if at is not None), default=None) if None not in finishes else None
