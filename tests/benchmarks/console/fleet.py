"""The console on a stand-in engine of any size, with as much going on as is asked for. A program of its own.

    python -m tests.benchmarks.console.fleet JOBS LINK WHAT [SCREEN]

`WHAT` is idle, updates (50 rows change a second), or wall (8 workers, 20 lines a second each).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from console.desk import wall_clock
from console.start import Look, run
from engine.agents import events as say
from engine.events import Launched
from engine.model import Job, State
from tests.console.fake import MINUTE, FakeEngine

WORKERS = 8
_RATE = 20  #: a second, of updates and of lines; updates come as many at a time as make 50
_WORDS = (
    "the", "parser", "keeps", "what", "it", "read", "between", "two", "tokens", "and", "gives", "it", "back", "where",
    "the", "writer", "asks", "for", "it",
)  # fmt: skip


def engine(jobs: int, what: str) -> FakeEngine:
    """`jobs` jobs, of which the first eight run; the oldest come last."""
    running = WORKERS if what == "wall" else 0
    began = wall_clock() - MINUTE

    def job(number: int) -> Job:
        state = State.RUNNING if number <= running else State.READY
        title = " ".join(_WORDS[number * step * 7 % len(_WORDS)] for step in range(1, 6 + number % 4))
        model = ("opus-5", "sonnet-5", None)[number % 3]
        agent = ("claude", "codex")[number % 2]
        at = began - number % 600 * MINUTE
        begun = {"started_at": at, "attempts": 1} if state is State.RUNNING else {}
        return Job(
            id=number, state=state, title=title, agent=agent, model=model, priority=5, created_at=at,
            project="/src/core-engine", **begun,
        )  # fmt: skip

    fake = FakeEngine([job(number) for number in range(1, min(jobs, 500) + 1)], lazy=job, total=jobs)
    if what == "laden":
        from tests.console import ledger

        ledger.lay(fake)
    for number in range(1, running + 1):
        fake.write(number, *(say.Output(line(number * 7 + count)) for count in range(60)))
    return fake


def line(count: int) -> str:
    size = 5 + count * 7 % 9
    return f"{count:>5} " + " ".join(_WORDS[(count + step) % len(_WORDS)] for step in range(size))


async def updates(fake: FakeEngine) -> None:
    """Fifty rows a second change in what they say, twenty of them in sight."""
    numbers = itertools.cycle(range(1, 41))
    for count in itertools.count():
        number = next(numbers)
        fake.change(number, input_tokens=1_000 + count * 37, cost_micros=count * 1_700, attempts=1)
        fake.emit(Launched(pid=1, workspace="/w"), number)
        await asyncio.sleep(1 / 50)


async def lines(fake: FakeEngine) -> None:
    for count in itertools.count():
        for number in range(1, WORKERS + 1):
            await fake.speak(number, say.Output(line(count * WORKERS + number)))
        await asyncio.sleep(1 / _RATE)


def main() -> None:
    jobs, link, what = int(sys.argv[1]), sys.argv[2], sys.argv[3]

    @asynccontextmanager
    async def client(_: Path) -> AsyncIterator[FakeEngine]:
        fake = engine(jobs, what)
        works = {"updates": updates, "wall": lines}
        task = asyncio.create_task(works[what](fake)) if what in works else None
        yield fake
        if task is not None:
            task.cancel()

    stock = os.environ.get("HEADWAY_BENCH_PAINTER") == "stock"
    sys.exit(run(Path(), Look(link, stock_painter=stock), client_factory=client))


if __name__ == "__main__":
    main()
