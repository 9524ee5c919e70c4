"""The queue as a forecast needs it: what runs, what waits and for what, and how long such jobs have taken so far."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.model import Target
from engine.store import lanes
from engine.store.lanes import Lane
from engine.store.rows import JOB_COLUMNS, SELECT_JOB, JobRow, job_row
from engine.store.writer import Transaction

SAMPLES = 30  #: of the newest successes of one lane
LANES = 300  #: of the lanes that were served last
_LANE = ", ".join(f"lanes.{name}" for name in lanes.COLUMNS.split(", "))

_WAITING = f"{SELECT_JOB} WHERE state IN ('ready', 'blocked') ORDER BY priority, rank, id LIMIT ?"
_RUNNING = (
    f"SELECT {', '.join(f'jobs.{name}' for name in JOB_COLUMNS)}, attempts.started_at, attempts.created_at, {_LANE} "
    "FROM attempts JOIN jobs ON jobs.id = attempts.job JOIN lanes ON lanes.id = attempts.lane "
    "WHERE attempts.ended_at IS NULL"
)
# Where one of several has done well already, the others are not waited for.
_NEEDS = (
    "SELECT d.job, d.needs, d.any_of FROM dependencies AS d JOIN jobs AS j ON j.id = d.job "
    "WHERE d.outcome IS NULL AND j.state = 'blocked' AND NOT (d.any_of AND EXISTS (SELECT 1 FROM dependencies AS e "
    "WHERE e.job = d.job AND e.any_of = 1 AND e.outcome IN ('succeeded', 'overruled')))"
)
_NEEDS_OF = f"{_NEEDS} AND d.job = ?"
_RUNNING_IN = (
    f"SELECT attempts.job, {_LANE} FROM attempts JOIN lanes ON lanes.id = attempts.lane WHERE attempts.ended_at IS NULL"
)
_HISTORY = (
    f"SELECT {_LANE}, a.ended_at - a.started_at, (SELECT sum(cost_micros) FROM usage WHERE usage.attempt = a.id) "
    f"FROM (SELECT * FROM lanes WHERE served_at > 0 ORDER BY served_at DESC LIMIT {LANES}) AS lanes "
    "JOIN attempts AS a ON a.id IN (SELECT id FROM attempts WHERE lane = lanes.id AND succeeded = 1 "
    f"ORDER BY ended_at DESC LIMIT {SAMPLES}) WHERE a.started_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that runs. `since`, milliseconds UTC."""

    job: JobRow
    lane: Lane
    since: int


@dataclass(frozen=True, slots=True)
class Open:
    """The unended jobs that a blocked one waits for."""

    all_of: frozenset[int] = frozenset()
    any_of: frozenset[int] = frozenset()


Sample = tuple[int, int | None]  #: what one attempt has taken: milliseconds, and micro-dollars where that is known


@dataclass(frozen=True, slots=True)
class Took:
    """What attempts of one sort have taken: milliseconds, and micro-dollars where a cost is known."""

    median: int
    p90: int
    count: int
    cost: int | None = None
    samples: tuple[Sample, ...] = ()
    """One for each attempt, in no order that means anything."""

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Took:
        known = tuple(samples)
        ordered = sorted(span for span, _ in known)
        priced = [cost for _, cost in known if cost is not None]
        # The nearest rank: with few samples it is the slowest, and no interpolation invents a value.
        slow = ordered[min(len(ordered) - 1, -(-len(ordered) * 9 // 10) - 1)]
        cost = round(statistics.median(priced)) if priced else None
        return cls(round(statistics.median(ordered)), slow, len(ordered), cost, known)


@dataclass(frozen=True, slots=True)
class History:
    """What is known of durations and costs: of a kind on a target, else of anything on it."""

    by_kind: Mapping[tuple[str, str], Took] = field(default_factory=dict)
    by_target: Mapping[str, Took] = field(default_factory=dict)

    def of(self, target: Target, kind: str | None) -> Took | None:
        name = str(target)
        return (self.by_kind.get((kind, name)) if kind is not None else None) or self.by_target.get(name)


@dataclass(frozen=True, slots=True)
class Queue:
    """One moment of the queue. `whole`: everything that waits is in it."""

    waiting: Mapping[int, JobRow]
    running: tuple[Running, ...] = ()
    needs: Mapping[int, Open] = field(default_factory=dict)
    whole: bool = True


def queue(tx: Transaction, limit: int) -> Queue:
    """The first jobs that wait, all that run, and what is waited for."""
    rows = [job_row(values) for values in tx.connection.execute(_WAITING, (limit + 1,))]
    running = []
    width = len(JOB_COLUMNS)
    for values in tx.connection.execute(_RUNNING):
        started, created = values[width], values[width + 1]
        running.append(Running(job_row(values[:width]), lanes.named(values[width + 2 :]), started or created))
    return Queue(
        waiting={row.id: row for row in rows[:limit]},
        running=tuple(running),
        needs=waited_for(tx),
        whole=len(rows) <= limit,
    )


def waited_for(tx: Transaction, job: int | None = None) -> dict[int, Open]:
    """What each blocked job waits for, or one of them."""
    found: dict[int, tuple[set[int], set[int]]] = {}
    rows = tx.connection.execute(_NEEDS) if job is None else tx.connection.execute(_NEEDS_OF, (job,))
    for blocked, other, any_of in rows:
        found.setdefault(blocked, (set(), set()))[any_of].add(other)
    return {job: Open(frozenset(every), frozenset(some)) for job, (every, some) in found.items()}


def running_in(tx: Transaction) -> dict[int, Lane]:
    """The jobs that run, and the lanes in which their attempts count."""
    return {job: lanes.named(values) for job, *values in tx.connection.execute(_RUNNING_IN)}


def history(tx: Transaction) -> History:
    """How long the newest successes took, by kind and target."""
    samples: dict[tuple[str | None, str], list[Sample]] = {}
    for *named, took, cost in tx.connection.execute(_HISTORY):
        lane = lanes.named(named)
        target = str(lane.target)
        for key in {(lane.kind, target), (None, target)}:
            samples.setdefault(key, []).append((max(0, took), cost))
    found = {key: Took.of(values) for key, values in samples.items()}
    return History(
        {(kind, target): took for (kind, target), took in found.items() if kind is not None},
        {target: took for (kind, target), took in found.items() if kind is None},
    )
