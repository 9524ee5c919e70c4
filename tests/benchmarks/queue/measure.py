"""Rounds in which every system takes its turn, so that a busy moment of the machine falls on all of them alike."""

from __future__ import annotations

import gc
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from tests.benchmarks.queue.plan import Plan
from tests.benchmarks.queue.systems import Bounds, Sample, Size, System, Work

#: Smaller databases are made anew for each round: what is submitted in one round would be many times their size.
RENEWED_ROWS = 20_000
FINISH_SECONDS = 30.0  #: for the jobs over which bytes are counted

Maker = Callable[[Path, Size], System]


@dataclass(frozen=True, slots=True)
class Summary:
    """Median and quartiles of one value over the rounds."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


@dataclass(slots=True)
class Results:
    """Every sample, by system, work and label of the size; and bytes of one finished job, by system."""

    samples: dict[tuple[str, Work, str], list[Sample]] = field(default_factory=dict)
    job_bytes: dict[str, float] = field(default_factory=dict)
    rounds: int = 0

    def rates(self, system: str, work: Work, size: Size) -> list[float]:
        """Jobs a second, a round each; empty where it was not measured."""
        return [sample.rate for sample in self.samples.get((system, work, size.label), [])]

    def rate(self, system: str, work: Work, size: Size) -> Summary | None:
        rates = self.rates(system, work, size)
        return Summary.of(rates) if rates else None


def ratio(over: Sequence[float], under: Sequence[float]) -> Summary | None:
    """Of two series, taken within each round; None where one was not measured."""
    if not over or not under or not all(under):
        return None
    return Summary.of([a / b for a, b in zip(over, under, strict=True)])


def measure(
    plan: Plan, kinds: Mapping[type[System], Maker], parent: Path, also: Callable[[], None] = lambda: None
) -> Results:
    """All works of all systems on all sizes, and what a finished job leaves on the disk. `also` has a turn a round."""
    results = Results()
    for kind, make in kinds.items():
        results.job_bytes[kind.name] = _job_bytes(plan, make, parent)
    with ExitStack() as stack:
        kept: dict[tuple[type[System], Size], System] = {}
        for size in plan.sizes:
            if size.rows >= RENEWED_ROWS:
                say(f"filling {size.label}")
                for kind, make in kinds.items():
                    if takes_part(kind, size, plan):
                        kept[kind, size] = _made(stack, make, parent, size)
        os.sync()
        begun = perf_counter()
        for number in range(1, plan.rounds + 1):
            say(f"round {number} of {plan.rounds}")
            start = perf_counter()
            with ExitStack() as passing:
                fresh = {
                    (kind, size): _made(passing, make, parent, size)
                    for size in plan.sizes
                    if size.rows < RENEWED_ROWS
                    for kind, make in kinds.items()
                    if takes_part(kind, size, plan)
                }
                _round(plan, kept | fresh, results)
            also()
            results.rounds = number
            now = perf_counter()
            if number >= plan.least_rounds and now - begun + (now - start) > plan.budget_seconds:
                say(f"the time is up after {number} rounds")
                break
    return results


def takes_part(kind: type[System], size: Size, plan: Plan) -> bool:
    """A system that keeps no finished jobs has the same database at every size, but for the pending ones."""
    return kind.keeps_finished or size is plan.smallest or size.finished == 0


def _made(stack: ExitStack, make: Maker, parent: Path, size: Size) -> System:
    place = Path(tempfile.mkdtemp(dir=parent))
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    system = make(place, size)
    stack.callback(system.close)
    return system


def _round(plan: Plan, systems: Mapping[tuple[type[System], Size], System], results: Results) -> None:
    """One sample of each, in every other round backwards.

    The sizes of one system stand side by side, as their ratio is the finest difference here.
    """
    turns = sorted(systems.items(), key=lambda one: (one[0][0].name, one[0][1].rows), reverse=results.rounds % 2 == 1)
    for work in Work:
        for (kind, size), system in turns:
            if work not in kind.works:
                continue
            gc.collect()
            sample = system.measure(work, Bounds(plan.jobs[work], plan.cell_seconds))
            if sample.done == 0:
                raise RuntimeError(f"{kind.name}, {work}, {size.label}: nothing was there to do")
            results.samples.setdefault((kind.name, work, size.label), []).append(sample)


def _job_bytes(plan: Plan, make: Maker, parent: Path) -> float:
    """What one finished job that did nothing leaves on the disk, past what an empty database takes."""
    jobs = plan.finished_jobs
    with ExitStack() as stack:
        system = _made(stack, make, parent, Size("empty", 0, 0))
        before = system.size()
        way = Work.BULK if Work.BULK in system.works else Work.SINGLE
        added = system.measure(way, Bounds(jobs, FINISH_SECONDS)).done
        ended = system.measure(Work.CYCLE, Bounds(added, FINISH_SECONDS)).done
        return (system.size() - before) / max(ended, 1)


def say(text: str) -> None:
    """How far it is, for the one who waits."""
    print(text, file=sys.stderr, flush=True)
