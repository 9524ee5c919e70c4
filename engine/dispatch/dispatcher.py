"""The loop that starts what may start. It sleeps until something happens that can change the answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from engine.agents.base import Agent
from engine.config import Settings
from engine.dispatch.eligibility import Snapshot, choose
from engine.errors import StorageError
from engine.store import Store, Transaction, jobs
from engine.store.jobs import Claim

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 64  #: attempts begun in one go, so that a thousand free slots do not start a thousand programs at once
#: While a job waits for a time, look at the clock at least so often: it may be set, and the loop's own stands still
#: while the machine sleeps.
LOOK_SECONDS = 30.0
STORAGE_RETRY_SECONDS = 5.0  #: between looks while the store cannot be written


class Dispatcher:
    """Claims jobs for free slots and hands them to `start`."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        agents: Mapping[str, Agent],
        boot: str,
        start: Callable[[Claim], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._agents = tuple(sorted(agents))
        self._resumable = frozenset(name for name, agent in agents.items() if agent.resumable)
        self._boot = boot
        self._start = start
        self._wake = asyncio.Event()
        self.draining = False

    def wake(self) -> None:
        """Something has changed: a submit, a settlement, a release, a retry."""
        self._wake.set()

    def snapshot(self, now: int, running: Mapping[str, int], held_all: str | None) -> Snapshot:
        """The world as this dispatcher sees it."""
        caps = {name: one.max_running for name, one in self._settings.agents.items() if one.max_running is not None}
        return Snapshot(now, running, self._settings.max_running, caps, held_all, self.draining)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                due, now = await self._round()
            except StorageError as error:
                logger.error("%s; looking again in %.0f s", error, STORAGE_RETRY_SECONDS)
                due, now = round(STORAGE_RETRY_SECONDS * 1000), 0
            await self._until(None if due is None else (due - now) / 1000)

    async def _round(self) -> tuple[int | None, int]:
        """Open what is due and claim what may start. Returns when the next job is due, and the time it was asked."""
        claims, due, now = await self._store.write(self._claim)
        for claim in claims:
            self._start(claim)
        if len(claims) == CLAIM_LIMIT:
            self._wake.set()
        return due, now

    def _claim(self, tx: Transaction) -> tuple[list[Claim], int | None, int]:
        due = jobs.come_due(tx)
        world = self.snapshot(tx.now, jobs.running_by_agent(tx), jobs.held_all(tx))
        if world.draining or world.held_all is not None:
            return [], due, tx.now
        heads = {name: min(free, CLAIM_LIMIT) for name in self._agents if (free := world.free(name)) > 0}
        claims = jobs.claim(
            tx,
            heads,
            lambda candidates: choose(candidates, world)[:CLAIM_LIMIT],
            self._resumable,
            self._boot,
        )
        return claims, due, tx.now

    async def _until(self, seconds: float | None) -> None:
        """Sleep until woken or until a job is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else min(max(0.0, seconds), LOOK_SECONDS)):
                await self._wake.wait()
