"""What Headway promises itself, and whether this run kept it. Every ratio is taken within a round of this run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from tests.benchmarks.queue.measure import Results, Summary, ratio
from tests.benchmarks.queue.plan import Plan
from tests.benchmarks.queue.served import Served
from tests.benchmarks.queue.systems import Size, Work

OURS, RAW, SAME, HUEY = "Headway", "raw sqlite3, one table", "raw sqlite3, the same rows", "huey"


@dataclass(frozen=True, slots=True)
class Goal:
    """`bound` is the least or the most that is allowed; `values` are what was measured, by size or for all."""

    text: str
    bound: float
    least: bool
    values: dict[str, Summary]
    unit: str = "x"

    @property
    def worst(self) -> float:
        medians = [value.middle for value in self.values.values()]
        return min(medians) if self.least else max(medians)

    @property
    def met(self) -> bool:
        return self.worst >= self.bound if self.least else self.worst <= self.bound


def goals(plan: Plan, results: Results, served: Served) -> list[Goal]:
    """Those that this run can judge."""
    found = [
        _against(plan, results, "64 submitters, against the raw loop", 5, Work.TOGETHER, RAW, Work.SINGLE),
        _against(plan, results, "64 submitters, against huey", 10, Work.TOGETHER, HUEY, Work.TOGETHER),
        _against(plan, results, "claim + settle, against raw with the same rows", 0.5, Work.CYCLE, SAME, Work.CYCLE),
        _against(plan, results, "claim + settle, against raw with one table", 0.5, Work.CYCLE, RAW, Work.CYCLE),
        _peers(plan, results),
        *(_growth(plan, results, work) for work in (Work.SINGLE, Work.TOGETHER, Work.BULK, Work.CYCLE)),
        *_engine(served),
        Goal("bytes of a finished job", 1_024, False, _alone(results.job_bytes[OURS]), ""),
    ]
    return [goal for goal in found if goal.values]


def _against(plan: Plan, results: Results, text: str, bound: float, work: Work, other: str, its: Work) -> Goal:
    values = {}
    for size in plan.sizes:
        found = ratio(results.rates(OURS, work, size), rates_at(plan, results, other, its, size))
        if found is not None:
            values[size.label] = found
    return Goal(text, bound, True, values)


def rates_at(plan: Plan, results: Results, system: str, work: Work, size: Size) -> list[float]:
    """The rates at a size; at the smallest, for a system that keeps no finished jobs and so has only that one."""
    return results.rates(system, work, size) or results.rates(system, work, plan.smallest)


def _peers(plan: Plan, results: Results) -> Goal:
    """Against whichever peer was the fastest at a size, with as many workers as served it best."""
    names = {system for system, _, _ in results.samples} - {OURS, RAW, SAME}
    values = {}
    for size in plan.sizes:
        rates = [
            rates_at(plan, results, name, work, size)
            for name in sorted(names)
            for work in (Work.CYCLE, Work.CYCLE_TOGETHER)
        ]
        fastest = max(filter(None, rates), key=statistics.median, default=[])
        if (found := ratio(results.rates(OURS, Work.CYCLE, size), fastest)) is not None:
            values[size.label] = found
    return Goal("claim + settle, against the fastest peer", 3, True, values)


def _growth(plan: Plan, results: Results, work: Work) -> Goal:
    """How many times slower than on the smallest database."""
    base = results.rates(OURS, work, plan.smallest)
    values = {
        size.label: found
        for size in plan.sizes[1:]
        if (found := ratio(base, results.rates(OURS, work, size))) is not None
    }
    return Goal(f"slower than at {plan.smallest.label}: {work.value}", 1.3, False, values)


def _engine(served: Served) -> Iterable[Goal]:
    if (starts := ratio(*served.medians())) is not None:
        yield Goal("submit until the child runs, p50, against a bare spawn", 3, False, {"": starts})
    yield Goal("wake-ups a second of an idle engine", 1, False, _alone(served.wakeups), "")
    yield Goal("processor of an idle engine", 0.5, False, _alone(served.processor), " %")


def _alone(value: float) -> dict[str, Summary]:
    return {"": Summary(value, value, value)}
