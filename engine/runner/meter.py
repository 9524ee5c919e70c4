"""What the running attempts take of the machine, and how much memory there is for more. One task measures all.

It also holds them to their limits: what the kernel holds a group to is only read from it, all else is added up here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from engine.agents.base import Agent
from engine.config import Settings
from engine.dispatch.world import Memory
from engine.model import Footprint, Resources
from engine.runner import cgroup, procfs, resources
from engine.runner.census import Census
from engine.runner.cut import Cut
from engine.runner.footprint import RECENT, Running, estimate, outlook
from engine.runner.resources import NOTHING, Taken
from engine.runner.tree import Tree
from engine.store import Transaction
from engine.units import size

logger = logging.getLogger(__name__)

SAMPLE_SECONDS = 2.0  #: between two looks at all processes
#: Between two where an attempt is about to reach a limit, or has just begun and may be anything.
HURRY_SECONDS = 0.1
#: But no look follows another sooner than after so many times what that took: 500 attempts are not read all the time.
REST = 10
READING_SECONDS = 0.5  #: what the machine said of its memory is believed so long
#: An attempt that was measured less often has not shown what it takes, and nothing is learnt from it.
LEAST_SAMPLES = 3
_PEAKS = (
    "SELECT agent, memory_peak FROM attempts WHERE id > (SELECT max(id) FROM attempts) - 1000 "
    "AND memory_peak IS NOT NULL AND ended_at - started_at >= ? ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at an attempt's processes."""

    held: int
    """Bytes of memory."""
    cpu_ms: int = 0
    """Of those that are there, and of what they have waited for."""
    processes: int = 0
    tasks: int = 0
    """Processes and threads, where there is a limit of them."""
    refused: int = 0
    starved: bool = False

    @property
    def taken(self) -> Taken:
        return Taken(self.held, self.cpu_ms, self.tasks, self.refused, self.starved)


@dataclass(slots=True)
class Measured:
    """What is known of one attempt. Memory is in bytes."""

    agent: str
    tree: Tree | None = None
    """None before it was started."""
    may: Resources = NOTHING
    away: bool = False
    """It is on another machine."""
    cut: Cut | None = None
    """The limit that it was seen to pass."""
    last: Taken | None = None
    at: float = 0.0
    """When that was, by the monotonic clock."""
    soonest: float | None = None
    """Seconds from then until it reaches a limit, if it goes on so."""
    held: int | None = None
    peak: int | None = None
    cpu_ms: int | None = None
    processes: int | None = None
    processes_peak: int | None = None
    samples: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """It was seen to take more than it may."""

    def see(self, sample: Sample, at: float = 0.0) -> None:
        held = self.held = sample.held
        self.peak = max(held, self.peak or 0)
        # What nobody waited for is not seen any more once it has gone: the sum may fall, what was used does not.
        self.cpu_ms = max(sample.cpu_ms, self.cpu_ms or 0)
        self.processes = sample.processes
        self.processes_peak = max(sample.processes, self.processes_peak or 0)
        self.samples += 1
        if self.may != NOTHING:
            self._hold(sample.taken, at)

    def _hold(self, taken: Taken, at: float) -> None:
        """Against its limits."""
        before = self.last or Taken()
        self.soonest = resources.soonest(self.may, before, taken, max(at - self.at, HURRY_SECONDS))
        self.last, self.at = taken, at
        self.cut = self.cut or resources.exceeded(self.may, taken)
        if self.cut is not None:
            self.over.set()


@dataclass(frozen=True, slots=True)
class Took:
    """What an attempt has taken, as far as it was measured."""

    memory_peak: int | None = None
    cpu_ms: int | None = None
    processes_peak: int | None = None


class Meter:
    """Measures from `expect` to `release`. `memory` may be asked from any thread."""

    def __init__(self, settings: Settings, agents: Mapping[str, Agent]) -> None:
        self._reserve = size(settings.memory_reserve)
        self._budget = None if settings.memory_budget is None else size(settings.memory_budget)
        self._unmeasured = {name: agent.footprint for name, agent in agents.items()}
        self._peaks = {name: deque[int](maxlen=RECENT) for name in agents}
        self._running: dict[int, Measured] = {}
        self._guard = threading.Lock()
        self._begun = asyncio.Event()
        self._limited = asyncio.Event()
        """One has begun that has limits."""
        self._groups = cgroup.own_groups()
        self._reading: tuple[float, int] | None = None

    def expect(self, attempt: int, agent: str) -> None:
        """An attempt will start: what it is going to take is kept for it from now on."""
        with self._guard:
            self._running[attempt] = Measured(agent)

    def begin(self, attempt: int, tree: Tree, may: Resources) -> None:
        """It has started."""
        with self._guard:
            one = self._running[attempt]
            one.tree, one.may, one.at = tree, may, time.monotonic()
        self._begun.set()
        if may != NOTHING:
            self._limited.set()

    def elsewhere(self, attempt: int, may: Resources) -> None:
        """It has started on another machine, which tells what it takes: nothing of this one's is kept for it."""
        with self._guard:
            one = self._running[attempt]
            one.may, one.away, one.at = may, True, time.monotonic()

    def told(self, attempt: int, sample: Sample) -> None:
        """What another machine has seen of it."""
        with self._guard:
            if (one := self._running.get(attempt)) is not None and sample.held:
                one.see(sample, time.monotonic())

    async def over(self, attempt: int) -> Cut:
        """Return once an attempt is seen to take more than it may."""
        one = self._running[attempt]
        await one.over.wait()
        assert one.cut is not None, "it says why"
        return one.cut

    def peak(self, attempt: int) -> int | None:
        """The most that it was seen to hold, in bytes."""
        one = self._running.get(attempt)
        return one.peak if one is not None else None

    def used(self, attempt: int, cpu_ms: int | None) -> None:
        """What its first process is known to have used, all of its children included, once that has ended."""
        one = self._running.get(attempt)
        if one is not None and cpu_ms is not None:
            one.cpu_ms = max(cpu_ms, one.cpu_ms or 0)

    def now(self, attempt: int) -> Footprint | None:
        """What it takes at this moment; None before it was measured."""
        one = self._running.get(attempt)
        if one is None or one.held is None:
            return None
        return Footprint(memory=one.held, cpu_ms=one.cpu_ms, processes=one.processes)

    def may(self, attempt: int) -> Resources:
        """What a running attempt may take."""
        one = self._running.get(attempt)
        return one.may if one is not None else NOTHING

    def took(self, attempt: int) -> Took:
        """What it has taken so far."""
        one = self._running.get(attempt)
        return Took(one.peak, one.cpu_ms, one.processes_peak) if one is not None else Took()

    def release(self, attempt: int) -> None:
        """It has ended."""
        with self._guard:
            one = self._running.pop(attempt, None)
            if one is not None and one.peak is not None and one.samples >= LEAST_SAMPLES:
                self._learn(one.agent, one.peak)

    def learn(self, peaks: Iterable[tuple[str, int]]) -> None:
        """What attempts of an earlier engine held at most: agent and bytes, the oldest first."""
        with self._guard:
            for agent, peak in peaks:
                self._learn(agent, peak)

    def _learn(self, agent: str, peak: int) -> None:
        if agent in self._peaks:
            self._peaks[agent].append(peak)

    def memory(self) -> Memory:
        """What there is for further attempts."""
        with self._guard:
            running = [Running(one.agent, one.held) for one in self._running.values() if not one.away]
            expected = {name: self._expected(name, size) for name, size in self._unmeasured.items()}
            available = self._available() - self._reserve
        if self._budget is not None:
            available = min(available, self._budget - sum(one.held or 0 for one in running))
        return outlook(available, expected, self._unmeasured, running)

    def _expected(self, agent: str, unmeasured: int) -> int:
        """What one more attempt of an agent will hold at most.

        Those that run still grow: they say that it takes more than was thought, and never that it takes less.
        """
        return max(estimate(self._peaks[agent], unmeasured), estimate(self._seen(agent), 0))

    def _seen(self, agent: str) -> list[int]:
        """The peaks of those that have ended, and of those that run and have shown what they take."""
        live = (one for one in self._running.values() if one.agent == agent and one.samples >= LEAST_SAMPLES)
        return [*self._peaks[agent], *(one.peak for one in live if one.peak is not None)]

    def _available(self) -> int:
        """What this machine, or the container around us, can still give."""
        now = time.monotonic()
        if self._reading is None or now - self._reading[0] >= READING_SECONDS:
            free, room = int(psutil.virtual_memory().available), cgroup.room(self._groups)
            self._reading = now, free if room is None else min(free, room)
        return self._reading[1]

    async def run(self) -> None:
        """Until cancelled. With nothing to measure it sleeps."""
        census, took = Census(), 0.0
        while True:
            await self._begun.wait()
            await self._rest(took)
            trees = {attempt: one.tree for attempt, one in self._running.items() if one.tree is not None}
            if not trees:
                self._begun.clear()
                continue
            limits = {attempt: self._running[attempt].may for attempt in trees}
            began = time.monotonic()
            try:
                found = await asyncio.to_thread(_measure, census, trees, limits)
            except Exception:
                logger.exception("the memory of the attempts could not be measured")
                continue
            now = time.monotonic()
            took = now - began
            with self._guard:
                for attempt, sample in found.items():
                    if attempt in self._running and sample.held:
                        self._running[attempt].see(sample, now)

    async def _rest(self, took: float) -> None:
        """Until the next look: the sooner the nearer an attempt is to a limit, and soon after one with limits began."""
        least = max(HURRY_SECONDS, took * REST)
        near = [one.soonest / 2 for one in self._running.values() if one.soonest is not None and one.cut is None]
        wait = min(SAMPLE_SECONDS, max(least, min(near, default=SAMPLE_SECONDS)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._limited.wait()
            self._limited.clear()
            await asyncio.sleep(min(SAMPLE_SECONDS, least))


def recent_peaks(tx: Transaction) -> list[tuple[str, int]]:
    """Agent and peak of the newest attempts that ran for long enough, the oldest first."""
    found = tx.connection.execute(_PEAKS, (round(LEAST_SAMPLES * SAMPLE_SECONDS * 1000),))
    return [(str(agent), int(peak)) for agent, peak in found]


def _measure(census: Census, trees: Mapping[int, Tree], limits: Mapping[int, Resources]) -> dict[int, Sample]:
    """What each attempt's processes take. Blocks."""
    found = {}
    for attempt, pids in census.take(trees).items():
        group = trees[attempt].group
        counted = cgroup.held(group) if group is not None else None
        held = counted if counted is not None else _held(pids, limits[attempt].memory)
        used = cgroup.cpu_ms(group) if group is not None else None
        used = used if used is not None else sum(map(procfs.cpu_ms, pids))
        tasks = sum(map(procfs.threads, pids)) if limits[attempt].pids else 0
        refused = cgroup.refused(group) if group is not None else 0
        starved = group is not None and cgroup.ended_for_memory(group)
        found[attempt] = Sample(held, used, len(pids), tasks, refused, starved)
    return found


def _held(pids: set[int], cap: int) -> int:
    """What processes hold together. Memory that they may share is counted once, at its largest.

    A quick sum counts pages that a program and its forks share for each of them. So where it is past the cap, it is
    taken once more by what the kernel says is shared.
    """
    parts = [procfs.resident(pid) for pid in pids]
    quick = sum(own for own, _ in parts) + max((shared for _, shared in parts), default=0)
    if not 0 < cap < quick:
        return quick
    exact = [procfs.proportional(pid) for pid in pids]
    known = [one for one in exact if one is not None]
    return min(quick, sum(known)) if len(known) == len(exact) else quick
