"""The loop: it starts what may start, in order and within caps, and sleeps until something happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.agents.base import Agent
from engine.agents.registry import agents as all_agents
from engine.config import AgentSettings, Settings
from engine.dispatch import dispatcher as loop
from engine.dispatch.dispatcher import CLAIM_LIMIT, Dispatcher
from engine.errors import StorageError
from engine.events import Moved
from engine.model import ALL, JobSpec, OnFailure, Verb
from engine.store import Store, Transaction, jobs, submit, verbs, windows
from engine.store.claims import Claim
from engine.store.fold import record
from engine.store.rows import read_job
from engine.store.submit import Accepted, Needs
from engine.window import Reading, Standing
from tests.store.samples import NOON, Clock, accepted, failure, success

PATIENCE = 30.0  #: seconds after which something that was waited for will not come


@dataclass
class Floor:
    """A dispatcher at work, and what it has started."""

    store: Store
    dispatcher: Dispatcher
    clock: Clock
    started: list[Claim] = field(default_factory=list)
    rounds: int = 0
    asleep: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    slept: list[float | None] = field(default_factory=list)
    broken: Callable[[], None] = lambda: None

    async def submit(self, *wanted: Accepted) -> None:
        await self.store.write(lambda tx: submit.submit(tx, wanted))

    async def settled(self) -> None:
        """Until it has looked and gone to sleep."""
        self.asleep.clear()
        self.dispatcher.wake()
        async with asyncio.timeout(PATIENCE):
            await self.asleep.wait()

    async def end(self, claim: Claim) -> None:
        await self.store.write(lambda tx: jobs.settle(tx, claim.attempt.id, success()))

    async def act(self, verb: Verb, *ids: int) -> None:
        request = verbs.Request(verb, ids, "tester", scope="" if ids else ALL)
        await self.store.write(lambda tx: verbs.act(tx, request))

    @property
    def jobs(self) -> list[int]:
        return [claim.job.id for claim in self.started]


@pytest.fixture
def known() -> dict[str, Agent]:
    found = all_agents()
    return {name: found[name] for name in ("claude", "shell")}


@pytest.fixture
def configured() -> Settings:
    return Settings(max_running=3, agents={"claude": AgentSettings(max_running=1)})


@pytest.fixture
async def floor(
    tmp_path: Path, known: dict[str, Agent], configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Floor]:
    clock = Clock()
    store = await Store.open(tmp_path, clock=clock)

    def start(claim: Claim) -> None:
        one.started.append(claim)
        one.begun.set()

    dispatcher = Dispatcher(store, configured, known, "boot", start)
    one = Floor(store, dispatcher, clock)
    look, until = dispatcher.round, dispatcher._until

    def counted(tx: object) -> object:
        one.rounds += 1
        one.broken()
        return look(tx)  # type: ignore[arg-type]

    async def noted(seconds: float | None) -> None:
        one.slept.append(seconds)
        if not dispatcher._wake.is_set():
            one.asleep.set()
        await until(seconds)

    monkeypatch.setattr(dispatcher, "round", counted)
    monkeypatch.setattr(dispatcher, "_until", noted)
    async with asyncio.timeout(PATIENCE):
        task = asyncio.create_task(dispatcher.run())
        await one.asleep.wait()
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.close()


async def test_jobs_start_by_priority_and_within_the_slots(floor: Floor) -> None:
    await floor.submit(*(accepted(priority=p) for p in (5, 1, 9, 0, 5)))
    await floor.settled()
    assert floor.jobs == [4, 2, 1]
    await floor.end(floor.started[0])
    await floor.settled()
    assert floor.jobs == [4, 2, 1, 5]


async def test_the_cap_of_an_agent_does_not_hold_up_the_others(floor: Floor) -> None:
    await floor.submit(*(accepted(agent="claude", priority=0) for _ in range(4)), accepted(agent="shell", priority=9))
    await floor.settled()
    assert floor.jobs == [1, 5]


async def test_it_asks_once_and_then_sleeps_until_it_is_woken(floor: Floor) -> None:
    """No polling: an idle engine sends the database nothing."""
    before = floor.rounds
    assert floor.slept[-1] is None, "without a job that is due, it sleeps without an end"
    for _ in range(200):
        await asyncio.sleep(0)
    assert floor.rounds == before
    await floor.submit(accepted())
    for _ in range(200):
        await asyncio.sleep(0)
    assert floor.rounds == before, "it does not look by itself"
    await floor.settled()
    assert (floor.rounds, floor.jobs) == (before + 1, [1])


async def test_many_wakes_while_it_looks_are_one_more_look(floor: Floor) -> None:
    before = floor.rounds
    for _ in range(100):
        floor.dispatcher.wake()
    await floor.settled()
    assert floor.rounds - before <= 2


async def test_a_wake_during_a_look_is_not_lost(floor: Floor) -> None:
    woken: list[int] = []

    def wake_once() -> None:
        if not woken:
            woken.append(1)
            floor.dispatcher._store._writer._loop.call_soon_threadsafe(floor.dispatcher.wake)

    floor.broken = wake_once
    before = floor.rounds
    await floor.settled()
    await floor.settled()
    assert floor.rounds - before >= 2


async def test_a_job_with_a_time_starts_when_it_has_come(floor: Floor) -> None:
    await floor.submit(accepted(not_before=NOON + 90_000), accepted(not_before=NOON + 30_000))
    await floor.settled()
    assert (floor.jobs, floor.slept[-1]) == ([], 30.0)
    floor.clock.now += 30_000
    await floor.settled()
    assert (floor.jobs, floor.slept[-1]) == ([2], 60.0)
    floor.clock.now += 60_000
    await floor.settled()
    assert (floor.jobs, floor.slept[-1]) == ([2, 1], None)


def late(*after: int, not_before: int | None = None, deadline: int | None = None, priority: int = 5) -> Accepted:
    """A job that runs however what it comes after ends."""
    spec = JobSpec(prompt="x", on_failure=OnFailure.RUN, priority=priority)
    return Accepted(spec, "x", "shell", None, None, not_before, deadline=deadline, all_of=Needs(after))


@pytest.mark.parametrize("wait", [-1, 20_000])
async def test_what_a_deadline_sets_free_is_not_forgotten(floor: Floor, wait: int) -> None:
    """Its own time came while it was blocked, or is still to come: nobody else would look at the clock for it."""
    await floor.act(Verb.HOLD, *(await floor.store.write(lambda tx: submit.submit(tx, [late(deadline=NOON + 9)]))))
    await floor.submit(late(1, not_before=NOON + 9 + wait))
    await floor.settled()
    floor.clock.now += 9
    await floor.settled()
    assert (floor.jobs, floor.slept[-1]) == (([2], None) if wait < 0 else ([], 20.0))


async def test_no_job_starts_after_its_deadline_however_many_are_late(floor: Floor) -> None:
    """Those of one moment are failed some hundreds at a time, and nothing starts before all have been."""
    await floor.act(Verb.HOLD)
    await floor.submit(*(late(deadline=NOON + 9) for _ in range(1_200)), late(priority=9))
    floor.clock.now += 9
    await floor.act(Verb.RELEASE)
    await floor.settled()
    assert floor.jobs == [1_201]
    assert (await floor.store.read.counts()).failed == 1_200


async def test_of_many_that_come_due_together_the_most_urgent_go_first(floor: Floor) -> None:
    await floor.submit(*(late(not_before=NOON + n + 1) for n in range(700)), late(not_before=NOON + 800, priority=0))
    floor.clock.now += 800
    await floor.settled()
    assert floor.jobs == [701, 1, 2]


async def test_jobs_with_one_place_fill_all_slots(floor: Floor) -> None:
    """A job that was moved to the middle of a gap can stand where one that ran meanwhile comes back to."""
    await floor.submit(*(late() for _ in range(4)))
    await floor.settled()
    assert floor.jobs == [1, 2, 3]
    await floor.act(Verb.HOLD)
    middle = next(claim for claim in floor.started if claim.job.id == 2)

    def back(tx: Transaction) -> None:
        for claim in floor.started:
            jobs.settle(tx, claim.attempt.id, failure(back=0) if claim is not middle else success())
        row = read_job(tx.connection, 1)
        assert row is not None
        four = read_job(tx.connection, 4)
        assert four is not None
        record(tx, four, Moved("ann", row.rank, row.priority))

    await floor.store.write(back)
    await floor.act(Verb.RELEASE)
    await floor.settled()
    assert floor.jobs[3:] == [1, 4, 3]


async def test_the_time_itself_wakes_it(floor: Floor) -> None:
    await floor.submit(accepted(not_before=NOON + 1))
    await floor.settled()
    assert floor.jobs == []
    floor.clock.now += 1
    async with asyncio.timeout(PATIENCE):
        await floor.begun.wait()
    assert floor.jobs == [1]


async def test_the_end_of_a_window_wakes_it(floor: Floor) -> None:
    told = Reading(window="five_hour", standing=Standing.CLOSED, at=NOON, source="it", resets_at=NOON + 2_000)
    await floor.store.write(lambda tx: windows.record(tx, "claude", [told], 0.0))
    await floor.submit(accepted(agent="claude"), accepted())
    await floor.settled()
    assert floor.jobs == [2], "what has no account does not wait"
    assert floor.slept[-1] == 2.0, "it looks again at the window's end, and not before"
    floor.clock.now += 2_000
    async with asyncio.timeout(PATIENCE):
        while 1 not in floor.jobs:
            floor.begun.clear()
            await floor.begun.wait()


async def test_holds_and_draining_start_nothing_and_their_end_does(floor: Floor) -> None:
    await floor.act(Verb.HOLD)
    await floor.submit(accepted(), accepted())
    await floor.settled()
    assert floor.jobs == []
    await floor.act(Verb.HOLD, 1)
    await floor.act(Verb.RELEASE)
    await floor.settled()
    assert floor.jobs == [2]
    await floor.act(Verb.RELEASE, 1)
    floor.dispatcher.draining = True
    await floor.settled()
    assert floor.jobs == [2]
    floor.dispatcher.draining = False
    await floor.settled()
    assert floor.jobs == [2, 1]


@pytest.mark.parametrize("configured", [Settings(max_running=1_000)])
async def test_a_thousand_slots_fill_in_several_goes_without_being_asked_again(floor: Floor) -> None:
    await floor.submit(*(accepted(priority=n % 10) for n in range(3 * CLAIM_LIMIT + 5)))
    before = floor.rounds
    await floor.settled()
    assert len(floor.started) == 3 * CLAIM_LIMIT + 5
    assert floor.rounds - before == 4
    rows = [claim.job for claim in floor.started]
    assert rows == sorted(rows, key=lambda row: (row.priority, row.id))


async def test_while_the_store_cannot_be_written_it_waits_and_looks_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise StorageError("the disk is full")

    floor.broken = full
    await floor.submit(accepted())
    await floor.settled()
    assert (floor.jobs, floor.slept[-1]) == ([], loop.STORAGE_RETRY_SECONDS)
    floor.broken = lambda: None
    await floor.settled()
    assert floor.jobs == [1]


async def test_two_dispatchers_never_start_the_same_job(
    floor: Floor, known: dict[str, Agent], configured: Settings
) -> None:
    other: list[Claim] = []
    second = Dispatcher(floor.store, configured, known, "boot-2", other.append)
    await floor.submit(*(accepted() for _ in range(10)))
    seconds = await asyncio.gather(floor.store.write(second.round), floor.settled(), floor.store.write(second.round))
    other += [claim for found in (seconds[0], seconds[2]) for claim in found.claims]
    assert sorted(floor.jobs + [claim.job.id for claim in other]) == [1, 2, 3]
