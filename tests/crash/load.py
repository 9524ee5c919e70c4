"""All that is done to an engine while it lives: submissions, every verb, undo, prune. From many clients at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import HeadwayError, NoEngineError
from engine.model import ALL, Order, Verb, Wanted
from engine.server.client import Client
from engine.upkeep.wire import Prune
from tests.crash.ledger import Ledger, Sent
from tests.crash.work import Work

SUBMITTERS = 3
OPERATORS = 2
PAUSE_SECONDS = 0.03  #: on average, between two things that one client does; an engine under load is no engine flooded
RELEASE_SECONDS = 0.2  #: between two rounds of letting go of what keeps jobs from ending
ENOUGH = 40  #: unfinished jobs, past which nothing more is submitted: the queue shall move and not grow


@dataclass(slots=True)
class Load:
    """What one engine goes through."""

    home: Path
    ledger: Ledger
    work: Work
    rng: random.Random
    _told: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def put(self) -> AsyncIterator[None]:
        """Under load, until the block has ended and the engine with it."""
        async with Client(self.home) as client, asyncio.TaskGroup() as tasks:
            doing = [self._tidy, *[self._operate] * OPERATORS, *[self._submit] * SUBMITTERS]
            clients = [tasks.create_task(_lived(what(client))) for what in doing]
            tasks.create_task(self._until_dead(client, clients))
            yield

    async def _until_dead(self, client: Client, clients: list[asyncio.Task[None]]) -> None:
        """The event stream breaks off when the engine dies. Who was not asking it anything just then goes home."""
        await _lived(self.ledger.follow(client))
        for one in clients:
            one.cancel()

    # ---- submissions

    async def _submit(self, client: Client) -> None:
        while True:
            await self.send_again(client)
            if len(self.ledger.unfinished) < ENOUGH:
                await self._send(client, Sent(self._submission()))
            await self._pause()

    async def send_again(self, client: Client) -> None:
        """Send what has a token and no answer once more. Two clients may do it at once."""
        for sent in self.ledger.unanswered:
            self.ledger.count["sent again by its token"] += 1
            await self._send(client, sent)

    async def _send(self, client: Client, sent: Sent) -> None:
        if sent not in self.ledger.sent:
            self.ledger.sent.append(sent)
        answer = await client.send(sent.wanted)
        assert sent.answer is None or sent.answer.ids == answer.ids
        sent.answer = answer

    def _submission(self) -> Wanted:
        rng, work = self.rng, self.work
        token = f"token {work.made}" if rng.random() < 0.4 else None
        match rng.randrange(5):
            case 0 | 1:
                return Wanted([work.job()], token=token)
            case 2:
                return Wanted([work.job(key=f"key {rng.randrange(3)}")], token=token)
            case 3:
                first, second = work.job(name="a"), work.job(name="b")
                third = work.job(name="c", after=["a"], after_any=["b"])
                return Wanted([first, second, third, work.job(after=["c"])], token=token)
            case _:
                jobs = [work.job() for _ in range(rng.randrange(1, 4))]
                return Wanted(jobs, token=token, batch=f"batch {work.made}", then=work.job())

    # ---- the operator

    async def _operate(self, client: Client) -> None:
        while True:
            await self._pause()
            try:
                if self.rng.random() < 0.15:
                    await self._undo(client)
                else:
                    await self._act(client)
            except NoEngineError:
                raise
            except HeadwayError as error:  # it came too late for what it was about
                self.ledger.count[f"refused: {type(error).__name__}"] += 1

    async def _act(self, client: Client) -> None:
        order = self._order()
        if order is None:
            return
        if order.verb is Verb.EDIT:
            self.ledger.edited.add(self.ledger.jobs[order.jobs[0]].title)
        done = await client.carry_out(order)
        self.ledger.count[f"verb {order.verb}"] += 1
        if done.action is not None:
            self.ledger.actions.add(done.action)

    def _order(self) -> Order | None:
        rng = self.rng
        unfinished = self.ledger.unfinished
        ended = [job for job, told in self.ledger.jobs.items() if told.ended][-50:]
        verb = rng.choice([one for one in Verb if one is not Verb.DRAIN] + [Verb.CANCEL, Verb.RETRY] * 2)
        among = ended if verb is Verb.RETRY else unfinished
        if verb is Verb.CANCEL and rng.random() < 0.7:
            among = [job for job in unfinished if self.ledger.jobs[job].running]
        if not among:
            return None
        jobs = rng.sample(among, 1 if verb is Verb.EDIT else min(len(among), rng.randrange(1, 4)))
        dry = rng.random() < 0.1
        given: dict[str, Any] = {"jobs": jobs}
        match verb:
            case Verb.HOLD | Verb.RELEASE if rng.random() < 0.2:
                given = {"scope": rng.choice(("tag:some", "agent:shell", ALL))}
                verb = verb if given["scope"] == "tag:some" else Verb.RELEASE
            case Verb.CAP:
                given = {"scope": rng.choice((ALL, "tag:some")), "limit": rng.choice((None, 3, 8))}
            case Verb.PRIORITY:
                given["priority"] = rng.randrange(10)
            case Verb.SNOOZE:
                given["until"] = rng.choice((None, "100ms", "1h"))
            case Verb.MOVE:
                given["place"] = rng.choice(("first", "last", f"before:{rng.choice(unfinished)}"))
            case Verb.REROUTE:
                given["to"] = rng.choice(("shell", "shell@spare"))
            case Verb.RETRY:
                given["fresh"] = rng.random() < 0.3
            case Verb.EDIT:
                given["prompt"] = self.work.command(self.ledger.jobs[jobs[0]].title, "quick")
            case _:
                pass
        return Order(verb=verb, dry_run=dry, preview=rng.random() < 0.5, **given)

    async def _undo(self, client: Client) -> None:
        async with self._told:
            undone = await client.undo()
        self.ledger.count["undone"] += 1
        self.ledger.undone.add(undone.action)

    async def _tidy(self, client: Client) -> None:
        """Prune what has been shown to have ended, and been answered: with a job, all that was known of it goes."""
        while True:
            await self.send_again(client)
            async with self._told:  # an undo can let a job stand as it stood yesterday
                newest = (await client.status()).seq
                await self.ledger.until(lambda newest=newest: self.ledger.seq >= newest)
                await client.prune(Prune(older_than="10h"))
            await self._pause(10)

    async def _pause(self, times: float = 1.0) -> None:
        await asyncio.sleep(self.rng.expovariate(1 / (times * PAUSE_SECONDS)))

    # ---- the end

    async def let_all_end(self, client: Client) -> None:
        """Take away all that keeps jobs from ending, until every one has ended."""
        while (await client.status()).counts.unfinished:
            for scope in (ALL, "tag:some", "agent:shell"):
                await client.carry_out(Order(verb=Verb.RELEASE, scope=scope, preview=False))
            for scope in (ALL, "tag:some"):
                await client.carry_out(Order(verb=Verb.CAP, scope=scope, preview=False))
            for verb, jobs in (
                (Verb.RELEASE, "held:e"),
                (Verb.SNOOZE, "state:ready,blocked"),
                (Verb.CANCEL, "state:running title:endless"),
            ):
                await client.carry_out(Order(verb=verb, filter=jobs, preview=False))
            await asyncio.sleep(RELEASE_SECONDS)


async def _lived(doing: Awaitable[None]) -> None:
    """Until it is done, or the engine was killed."""
    with suppress(NoEngineError):
        await doing
