"""The loop that starts what may start. It sleeps until something happens that can change the answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from engine.agents.base import Agent
from engine.clock import now_ms
from engine.config import Settings
from engine.dispatch import rerouting
from engine.dispatch.nodes import Nodes
from engine.dispatch.order import Line, Lineup
from engine.dispatch.routebook import NOTHING, Routebook
from engine.dispatch.snapshot import Configured, world_of
from engine.dispatch.world import Memory, World
from engine.errors import StorageError
from engine.model import ALL, Cause
from engine.store import Store, Transaction, claims, jobs
from engine.store.claims import Claim, Head

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 64  #: attempts begun in one go, so that a thousand free slots do not start a thousand programs at once
#: While a job waits for a time, look at the clock at least so often: it may be set, and the loop's own stands still
#: while the machine sleeps.
LOOK_SECONDS = 30.0
MEMORY_SECONDS = 5.0  #: between looks while jobs wait for memory: nothing tells when it is free again
STORAGE_RETRY_SECONDS = 5.0  #: between looks while the store cannot be written


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at the queue came to. `due`, milliseconds UTC: when to look again by the clock."""

    claims: list[Claim]
    due: int | None
    now: int


class Dispatcher:
    """Claims jobs for free slots and hands them to `start`."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        agents: Mapping[str, Agent],
        boot: str,
        start: Callable[[Claim], None],
        memory: Callable[[], Memory] = Memory,
        book: Routebook = NOTHING,
        nodes: Callable[[], Nodes] = Nodes,
    ) -> None:
        self._store = store
        self._configured = Configured.of(settings, book.privacy)
        self._book = book
        self._resumable = frozenset(name for name, agent in agents.items() if agent.resumable)
        self._boot = boot
        self._start = start
        self._memory = memory
        self._nodes = nodes
        self._wake = asyncio.Event()
        self.draining = False

    def wake(self) -> None:
        """Something has changed: a submit, a settlement, a release, a retry."""
        self._wake.set()

    def world(self, tx: Transaction) -> World:
        """The world as this dispatcher sees it in a transaction."""
        return world_of(tx, self._configured, self._memory(), nodes=self._nodes(), draining=self.draining)

    def configured_cap(self, scope: str) -> int | None:
        """What the settings say of a scope."""
        return self._configured.caps.get(scope)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                found = await self._store.write(self.round)
            except StorageError as error:
                logger.error("%s; looking again in %.0f s", error, STORAGE_RETRY_SECONDS)
                now = now_ms()
                found = Round([], now + round(STORAGE_RETRY_SECONDS * 1000), now)
            for claim in found.claims:
                self._start(claim)
            if len(found.claims) == CLAIM_LIMIT or (found.due is not None and found.due <= found.now):
                self._wake.set()
            await self._until(None if found.due is None else (found.due - found.now) / 1000)

    def round(self, tx: Transaction) -> Round:
        """Open what is due, fail what is late, and claim what may start."""
        # In this order: what a deadline sets free may itself be due, or have a time to wait for.
        late = jobs.pass_deadlines(tx)
        due = [late, jobs.come_due(tx)]
        if (first := _first(due)) is not None and first <= tx.now:
            # More of them than one look takes. What is late must not start, nor anything before what is more urgent.
            return Round([], tx.now, tx.now)
        world = self.world(tx)
        if world.draining or world.full or ALL in world.holds:
            return Round([], _first(due), tx.now)
        due.append(rerouting.before_start(tx, self._book, world))
        due += [one.until for one in world.exhausted.values()]
        due += [one.until for one in world.breakers.values() if one.until is not None and one.until > tx.now]
        barred = world.barred_routes
        heads = claims.heads(tx, barred)
        lineup = Lineup(world, [_line(tx, head, barred) for head in heads])
        chosen = lineup.take(CLAIM_LIMIT)
        due.append(lineup.due())
        if lineup.waits_for(Cause.MEMORY):
            due.append(tx.now + round(MEMORY_SECONDS * 1000))
        given = claims.claim(tx, chosen, self._resumable.__contains__, self._boot, world.nodes.reaches)
        return Round(given, _first(due), tx.now)

    async def _until(self, seconds: float | None) -> None:
        """Sleep until woken or until a job is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else min(max(0.0, seconds), LOOK_SECONDS)):
                await self._wake.wait()


def _line(tx: Transaction, head: Head, barred: Collection[str]) -> Line:
    return Line(head.lane, head.job, islice(claims.line(tx, head, CLAIM_LIMIT, barred), 1, None))


def _first(times: list[int | None]) -> int | None:
    return min((at for at in times if at is not None), default=None)
