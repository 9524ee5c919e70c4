"""Which of the jobs that may start go first. Pure.

First the priority, which rises by one for each hour (`ageing`) that a job waits while nothing of its project starts;
then the project that has the least of the slots for its share; then the place in the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.dispatch.eligibility import of_lane
from engine.dispatch.world import World
from engine.store.lanes import Lane
from engine.store.rows import JobRow


@dataclass(slots=True)
class Line:
    """The startable jobs of one lane, best first. `rest` is read only as far as it is needed."""

    lane: Lane
    head: JobRow
    rest: Iterator[JobRow]


def choose(lines: Iterable[Line], world: World, room: int) -> list[JobRow]:
    """The jobs that start now, at most `room` of them, best first.

    `world` moves on: each chosen job counts as running before the next is asked about.
    """
    # What keeps a lane from starting stays while attempts are only added, so a lane is dropped for good.
    left = [line for line in lines if not of_lane(line.lane, world)]
    chosen: list[JobRow] = []
    while left and len(chosen) < room:
        best = min(left, key=lambda line: _urgency(line, world))
        if of_lane(best.lane, world):
            left.remove(best)
            continue
        chosen.append(best.head)
        world.start(best.lane)
        following = next(best.rest, None)
        if following is None:
            left.remove(best)
        else:
            best.head = following
    return chosen


def _urgency(line: Line, world: World) -> tuple[int, float, int]:
    job, project = line.head, line.lane.project
    since = max(job.created_at, job.started_at or 0)
    return world.level(line.lane.priority, since, project), world.load(project), job.rank
