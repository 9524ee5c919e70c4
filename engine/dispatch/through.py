"""When the whole queue will be through, and what it will cost. Pure.

A Monte Carlo game: the queue is played through again and again by the dispatcher's own `Lineup`, and each attempt lasts
and costs what one that was drawn from the history of its kind and target did (the bootstrap: Efron, Annals of
Statistics 7, 1979). The 90th percentile of many games is what nine of ten games stay below. It is much earlier than if
every job took its own 90th percentile, which is what `explain` tells of a single job: that all are slow at once hardly
ever happens.

More slots do not make every game shorter: with dependencies, or caps that put jobs into another order, a list that is
worked off in order can take longer with one slot more (Graham, Bell System Technical Journal 45, 1966). For jobs of one
lane without dependencies they never make it longer. Tests hold both.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from engine.dispatch.forecast import overdue, simulate
from engine.dispatch.world import World
from engine.model.forecast import Through
from engine.store.lanes import Lane
from engine.store.queue import History, Queue, Running, Sample
from engine.store.rows import JobRow

MOST_GAMES = 200
LEAST_GAMES = 20
MOVES = 60_000  #: jobs that are played in all games together; 5,000 jobs and 20 games take some seconds


@dataclass(slots=True)
class _Drawn:
    """Attempts as they were drawn for one game."""

    history: History
    anything: tuple[Sample, ...]
    dice: random.Random
    cost: dict[int, int | None] = field(default_factory=dict)

    def of(self, row: JobRow, lane: Lane) -> int | None:
        return self._draw(row, self._samples(row, lane))

    def until(self, one: Running, now: int) -> int | None:
        samples = self._samples(one.job, one.lane)
        longer = [sample for sample in samples if one.since + sample[0] > now]
        span = self._draw(one.job, longer or samples)
        if span is None:
            return None
        return one.since + span if longer else overdue(one, now)

    def _samples(self, row: JobRow, lane: Lane) -> tuple[Sample, ...]:
        found = self.history.of(lane.target, row.kind)
        return found.samples if found is not None else self.anything

    def _draw(self, row: JobRow, samples: Collection[Sample]) -> int | None:
        if not samples:
            return None
        span, cost = self.dice.choice(tuple(samples))
        self.cost[row.id] = cost
        return span


def through(queue: Queue, world: World, history: History, free: Collection[str] = (), seed: int = 0) -> Through:
    """The outlook on all jobs of a queue. `free`: agents that cost nothing. `world` is not changed.

    The same queue and the same seed give the same outlook.
    """
    rows = [*queue.waiting.values(), *(one.job for one in queue.running)]
    if not rows:
        return Through(jobs=0, finish=world.now, finish_late=world.now, cost_micros=0, cost_late_micros=0)
    anything = tuple(sample for took in history.by_target.values() for sample in took.samples)
    borrowed = sum(history.of(row.target, row.kind) is None for row in rows)
    if not anything:
        return Through(jobs=len(rows), whole=queue.whole, why="no job has succeeded yet: there is nothing to go by")
    dice = random.Random(seed)
    ends, costs, stuck, unpriced = [], [], 0, 0
    games = max(LEAST_GAMES, min(MOST_GAMES, MOVES // len(rows)))
    for _ in range(games):
        drawn = _Drawn(history, anything, dice)
        spans = simulate(queue, world.copy(), drawn)
        done = [row for row in rows if spans[row.id].finish is not None]
        stuck = max(stuck, len(rows) - len(done))
        ends.append(max((spans[row.id].finish or world.now for row in done), default=world.now))
        priced = [row for row in done if row.agent not in free]
        known = [cost for row in priced if (cost := drawn.cost.get(row.id)) is not None]
        unpriced = max(unpriced, len(priced) - len(known))
        costs.append(sum(known))
    known_cost = unpriced < len(rows) - stuck or all(row.agent in free for row in rows)
    return Through(
        jobs=len(rows),
        finish=percentile(ends, 50) if stuck < len(rows) else None,
        finish_late=percentile(ends, 90) if stuck < len(rows) else None,
        cost_micros=percentile(costs, 50) if known_cost else None,
        cost_late_micros=percentile(costs, 90) if known_cost else None,
        games=games,
        borrowed=borrowed,
        unpriced=unpriced,
        stuck=stuck,
        whole=queue.whole,
        why="none of the jobs comes to its end by itself" if stuck == len(rows) else "",
    )


def percentile(values: Iterable[int], part: int) -> int:
    """The nearest rank: the least value that so many per cent of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * part // 100) - 1)]
