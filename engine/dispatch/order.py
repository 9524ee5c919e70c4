"""Which of the jobs that may start go first. Pure.

First the project: the one with the most urgent job, where a priority rises by one for each hour (`ageing`) that the
job waits while nothing of its project starts; of equals, the one that has the least of the slots for its share. Then,
within the project, the job: by a priority that rises with all of its waiting, and by its place in the queue. So neither
does a flood of one project keep another from the slots, nor an endless row of urgent jobs the others of their project.
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
        urgent = min(left, key=lambda line: _urgency(line, world))
        project = urgent.lane.project
        best = min((line for line in left if line.lane.project == project), key=lambda line: _turn(line, world))
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
    """What a project goes by among others."""
    project = line.lane.project
    since = max(_since(line.head), world.served.get(project, 0))
    return world.level(line.lane.priority, since), world.load(project), line.head.rank


def _turn(line: Line, world: World) -> tuple[int, int]:
    """What a job goes by within its project."""
    return world.level(line.lane.priority, _since(line.head)), line.head.rank


def _since(job: JobRow) -> int:
    return max(job.created_at, job.started_at or 0)
