"""How much is measured: the whole run, and a quick one that only shows that everything still works."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.queue.systems import Size, Work


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `sizes` go from the smallest to the largest, then the variant where all jobs are pending."""

    sizes: tuple[Size, ...]
    rounds: int
    cell_seconds: float
    """What one system gets for one work on one size in one round."""
    jobs: dict[Work, int]
    """Jobs after which a cell ends sooner."""
    budget_seconds: float
    """No further round begins that would end later than this, once there are `least_rounds`."""
    least_rounds: int
    spawns: int
    """Jobs of each round whose start is timed, and as many bare spawns."""
    idle_seconds: float
    finished_jobs: int
    """Over which the bytes of a finished job are counted."""
    install: bool
    """PostgreSQL may be installed."""

    @property
    def smallest(self) -> Size:
        return self.sizes[0]


#: Jobs ready beside the finished ones: more than the two kinds of claims of a round take.
READY = 4_400
_QUICK_READY = 1_100

WHOLE = Plan(
    sizes=(
        Size("1 k", 1_000, READY),
        Size("100 k", 100_000, READY),
        Size("1 M", 1_000_000, READY),
        Size("1 M pending", 0, 1_000_000),
    ),
    rounds=7,
    cell_seconds=1.0,
    jobs={Work.CYCLE: 2_048, Work.CYCLE_TOGETHER: 2_048, Work.SINGLE: 300, Work.TOGETHER: 2_048, Work.BULK: 3_000},
    budget_seconds=540.0,
    least_rounds=3,
    spawns=40,
    idle_seconds=10.0,
    finished_jobs=2_000,
    install=True,
)
QUICK = Plan(
    sizes=(Size("1 k", 1_000, _QUICK_READY), Size("10 k", 10_000, _QUICK_READY)),
    rounds=3,
    cell_seconds=0.2,
    jobs={Work.CYCLE: 512, Work.CYCLE_TOGETHER: 512, Work.SINGLE: 100, Work.TOGETHER: 512, Work.BULK: 1_000},
    budget_seconds=30.0,
    least_rounds=1,
    spawns=6,
    idle_seconds=3.0,
    finished_jobs=512,
    install=False,
)
