"""What a queue has to offer to be measured, and the loops that measure it: for blocking APIs and for asyncio."""

from __future__ import annotations

import asyncio
import itertools
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import Any, ClassVar

SUBMITTERS = 64  #: who submit at the same time, each waiting for its answer
BULK = 1_000  #: jobs in one call of a bulk submit
BATCH = 64  #: jobs of one claim, where a queue takes several: the dispatcher's own limit


class Work(StrEnum):
    """What is measured, in jobs a second."""

    CYCLE = "claim + settle"
    CYCLE_TOGETHER = "claim + settle, the most concurrent way"
    SINGLE = "submit, one submitter"
    TOGETHER = "submit, 64 submitters"
    BULK = "submit, 1,000 a call"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A measurement ends at whichever comes first."""

    jobs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """So many jobs in so many seconds."""

    done: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.done / self.seconds


@dataclass(frozen=True, slots=True)
class Size:
    """How many jobs are in the database before anything is measured."""

    label: str
    finished: int
    ready: int

    @property
    def rows(self) -> int:
        return self.finished + self.ready


class System(ABC):
    """One queue with one database, filled and open."""

    name: ClassVar[str]
    #: What a row of each work is called beside the name, where it needs saying.
    ways: ClassVar[dict[Work, str]] = {}
    works: ClassVar[frozenset[Work]] = frozenset(Work)
    #: Whether jobs that have finished leave rows. Where not, a database with a million of them is an empty one.
    keeps_finished: ClassVar[bool] = True
    peer: ClassVar[bool] = False

    @abstractmethod
    def measure(self, work: Work, bounds: Bounds) -> Sample:
        """Do one kind of work until a bound is reached."""

    @abstractmethod
    def size(self) -> int:
        """Bytes of the database once its write-ahead log is in it."""

    @abstractmethod
    def close(self) -> None: ...


class Blocking(System):
    """A queue whose calls return when they are done. Its concurrency is threads."""

    batch: ClassVar[int] = 1
    workers: ClassVar[int] = 1

    @abstractmethod
    def submit_one(self) -> None:
        """Returns once the job is durable."""

    def submit_many(self, jobs: int) -> None:
        """In one call and one transaction; only for a queue that offers it."""
        raise NotImplementedError

    @abstractmethod
    def cycle(self) -> int:
        """Claim up to `batch` jobs, then settle them. Returns how many there were."""

    def worker(self) -> Callable[[], int]:
        """The `cycle` of one more worker: with a connection of its own where the queue's API wants that."""
        return self.cycle

    def measure(self, work: Work, bounds: Bounds) -> Sample:
        match work:
            case Work.SINGLE:
                return _one_by_one(self._submit_step, bounds)
            case Work.TOGETHER:
                return _threads([self._submit_step] * SUBMITTERS, bounds)
            case Work.BULK:
                return _one_by_one(self._bulk_step, bounds)
            case Work.CYCLE:
                return _one_by_one(self.cycle, bounds)
            case Work.CYCLE_TOGETHER:
                return _threads([self.worker() for _ in range(self.workers)], bounds)

    def _submit_step(self) -> int:
        self.submit_one()
        return 1

    def _bulk_step(self) -> int:
        self.submit_many(BULK)
        return BULK


def _one_by_one(step: Callable[[], int], bounds: Bounds) -> Sample:
    done = 0
    start = perf_counter()
    while done < bounds.jobs and perf_counter() - start < bounds.seconds:
        moved = step()
        if moved == 0:
            break
        done += moved
    return Sample(done, perf_counter() - start)


def _threads(steps: Sequence[Callable[[], int]], bounds: Bounds) -> Sample:
    """All steps at the same time, each in a thread that repeats it. The clock starts once every thread is there."""
    tickets = itertools.count()
    line = threading.Barrier(len(steps) + 1)
    started = [0.0]

    def run(step: Callable[[], int]) -> int:
        done = 0
        line.wait()
        while perf_counter() - started[0] < bounds.seconds and next(tickets) < bounds.jobs:
            moved = step()
            if moved == 0:
                break
            done += moved
        return done

    with ThreadPoolExecutor(len(steps)) as pool:
        running = [pool.submit(run, step) for step in steps]
        started[0] = perf_counter()
        line.wait()
        done = sum(one.result() for one in running)
    return Sample(done, perf_counter() - started[0])


class Asynchronous(System):
    """A queue whose calls are awaited. It has an event loop of its own, and its concurrency is tasks."""

    workers: ClassVar[int] = 1

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Awaitable[Any]) -> Any:
        async def waiting() -> Any:
            return await work

        return self._runner.run(waiting())

    def end_loop(self) -> None:
        self._runner.close()

    @abstractmethod
    async def submit_one(self) -> None:
        """Returns once the job is durable."""

    @abstractmethod
    async def submit_many(self, jobs: int) -> None:
        """In one call and one transaction."""

    @abstractmethod
    async def cycle(self) -> int:
        """Claim jobs as one worker does, then settle them. Returns how many there were."""

    async def cycle_together(self) -> int:
        """The same as one of `workers`."""
        return await self.cycle()

    def measure(self, work: Work, bounds: Bounds) -> Sample:
        match work:
            case Work.SINGLE:
                steps = [self._submit_step]
            case Work.TOGETHER:
                steps = [self._submit_step] * SUBMITTERS
            case Work.BULK:
                steps = [self._bulk_step]
            case Work.CYCLE:
                steps = [self.cycle]
            case Work.CYCLE_TOGETHER:
                steps = [self.cycle_together] * self.workers
        sample: Sample = self.run(_tasks(steps, bounds))
        return sample

    async def _submit_step(self) -> int:
        await self.submit_one()
        return 1

    async def _bulk_step(self) -> int:
        await self.submit_many(BULK)
        return BULK


async def _tasks(steps: Sequence[Callable[[], Awaitable[int]]], bounds: Bounds) -> Sample:
    """All steps at the same time, each repeated by a task."""
    done = 0
    start = perf_counter()

    async def run(step: Callable[[], Awaitable[int]]) -> None:
        nonlocal done
        while done < bounds.jobs and perf_counter() - start < bounds.seconds:
            moved = await step()
            if moved == 0:
                return
            done += moved

    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(run(step))
    return Sample(done, perf_counter() - start)
