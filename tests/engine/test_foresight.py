"""Why a job waits and until when, in the words and times that the operator reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.agents.registry import agents as all_agents
from engine.config import AgentSettings, Settings
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.world import Memory
from engine.foresight import Foresight
from engine.hub import Hub
from engine.model import ALL, Cause, Explanation, Failure, JobSpec, Verb
from engine.store import Store, jobs, submit, verbs
from engine.store.jobs import Launched
from engine.store.submit import Accepted, Needs
from engine.store.writer import Transaction
from tests.store.samples import NOON, Clock, failure, success

MINUTE = 60_000
SETTINGS = Settings(max_running=2, agents={"shell": AgentSettings()}, caps={"tag:gpu": 1})


@dataclass
class Desk:
    """A queue whose shell jobs have taken ten minutes so far, and who is asked about it."""

    store: Store
    clock: Clock
    memory: list[Memory] = field(default_factory=lambda: [Memory()])
    hub: Hub = field(default_factory=Hub)

    def __post_init__(self) -> None:
        agents = all_agents()
        self.dispatcher = Dispatcher(self.store, SETTINGS, agents, "boot", lambda claim: None, lambda: self.memory[0])
        self.foresight = Foresight(self.store, self.hub, self.dispatcher, 3, agents)

    async def submit(
        self, *after: int, tags: tuple[str, ...] = (), deadline: int | None = None, any_of: tuple[int, ...] = ()
    ) -> int:
        spec = JobSpec(prompt="x", tags=list(tags))
        one = Accepted(
            spec, "x", "shell", None, None, None, deadline=deadline, all_of=Needs(after), any_of=Needs(any_of)
        )
        return (await self.store.write(lambda tx: submit.submit(tx, [one])))[0]

    async def start(self) -> dict[int, int]:
        """Job -> attempt of what starts."""

        def begin(tx: Transaction) -> dict[int, int]:
            found = {claim.job.id: claim.attempt.id for claim in self.dispatcher.round(tx).claims}
            for attempt in found.values():
                jobs.launched(tx, attempt, Launched(1, None, "/w", None, None))
            return found

        return await self.store.write(begin)

    async def act(self, verb: Verb, *ids: int, scope: str = "", limit: int | None = None) -> None:
        request = verbs.Request(verb, ids, "ann", scope=scope, limit=limit)
        await self.store.write(lambda tx: verbs.act(tx, request))

    async def explain(self, job: int) -> Explanation:
        (row,) = await self.store.read.rows([job])
        self.foresight._until, self.foresight._seq = 0.0, -1  # what was said a moment ago is not what is tested
        return await self.foresight.explain(row)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await Store.open(tmp_path, clock=(clock := Clock()))
    one = Desk(store, clock)
    await one.submit()
    (attempt,) = (await one.start()).values()
    clock.now += 10 * MINUTE
    await store.write(lambda tx: jobs.settle(tx, attempt, success()))
    yield one
    await store.close()


async def test_a_cap_ends_with_the_first_that_counts_in_its_scope(desk: Desk) -> None:
    await desk.submit()
    await desk.start()
    desk.clock.now += 4 * MINUTE
    await desk.submit(tags=("gpu",))
    await desk.start()
    waits = await desk.submit(tags=("gpu",))
    desk.clock.now += MINUTE
    found = await desk.explain(waits)
    everywhere, here = found.waiting
    assert (everywhere.cause, here.cause, here.scope) == (Cause.CAP, Cause.CAP, "tag:gpu")
    assert everywhere.until == desk.clock.now + 5 * MINUTE
    assert here.until == desk.clock.now + 9 * MINUTE
    await desk.act(Verb.CAP, scope=ALL, limit=5)
    await desk.act(Verb.CAP, scope="tag:gpu")
    await desk.act(Verb.CAP, scope="agent:shell", limit=2)
    assert [one.scope for one in (await desk.explain(waits)).waiting] == ["agent:shell", "tag:gpu"]


async def test_a_dependency_ends_when_the_last_of_what_it_waits_for_does(desk: Desk) -> None:
    first = await desk.submit()
    waits = await desk.submit(first)
    await desk.start()
    (reason,) = (await desk.explain(waits)).waiting
    assert (reason.cause, reason.jobs, reason.until) == (Cause.DEPENDENCY, [first], desk.clock.now + 10 * MINUTE)


async def test_what_waits_behind_a_deadline_waits_until_then_at_the_latest(desk: Desk) -> None:
    late = await desk.submit(deadline=desk.clock.now + 3 * MINUTE)
    waits = await desk.submit(late)
    await desk.act(Verb.HOLD, late)
    (reason,) = (await desk.explain(waits)).waiting
    assert (reason.jobs, reason.until) == ([late], desk.clock.now + 3 * MINUTE)
    held = await desk.explain(late)
    assert held.job.deadline == desk.clock.now + 3 * MINUTE
    await desk.act(Verb.RELEASE, late)
    await desk.act(Verb.CAP, scope=ALL, limit=0)
    assert (await desk.explain(late)).estimate is not None
    assert "its deadline comes before its turn" in (await desk.explain(late)).estimate.why  # type: ignore[union-attr]


async def test_one_of_several_that_has_done_well_is_all_that_is_waited_for(desk: Desk) -> None:
    rest, more = await desk.submit(), await desk.submit()
    waits = await desk.submit(more, any_of=(1, rest))
    (reason,) = (await desk.explain(waits)).waiting
    assert reason.jobs == [more]
    estimate = (await desk.explain(waits)).estimate
    assert estimate is not None
    assert estimate.start == desk.clock.now + 10 * MINUTE


async def test_a_hold_a_backoff_and_memory_name_what_ends_them(desk: Desk) -> None:
    job = await desk.submit()
    (attempt,) = (await desk.start()).values()
    back = desk.clock.now + MINUTE
    await desk.store.write(lambda tx: jobs.settle(tx, attempt, failure(kind=Failure.CRASHED, back=back)))
    await desk.act(Verb.HOLD, job)
    held, backoff = (await desk.explain(job)).waiting
    assert (held.cause, held.ends) == (Cause.HELD, f"`headway release {job}` ends it")
    assert (backoff.cause, backoff.until) == (Cause.BACKOFF, back)
    await desk.act(Verb.RELEASE, job)
    desk.clock.now = back
    desk.memory[0] = Memory(10, {"shell": 20 << 20})
    assert (await desk.start()) == {}
    (memory,) = (await desk.explain(job)).waiting
    assert (memory.cause, memory.ends) == (Cause.MEMORY, "it may start once memory is free again")
    assert back > NOON


async def test_a_row_says_why_it_waits_also_where_that_is_none_of_its_own_doing(desk: Desk) -> None:
    first, second = await desk.submit(), await desk.submit()
    await desk.start()
    third, after = await desk.submit(), await desk.submit(first)
    rows = await desk.store.read.rows([first, second, third, after])
    found = {wait.job: wait for wait in await desk.foresight.waits(rows)}
    assert set(found) == {third, after}, "what runs waits for nothing"
    assert (found[third].reason.cause, found[third].reason.text) == (Cause.CAP, "2 of 2 attempts run")
    assert (found[after].reason.cause, found[after].reason.jobs) == (Cause.DEPENDENCY, [first])
    assert found[after].more == 1
