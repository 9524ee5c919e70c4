"""Writes down what happens to attempts: that they run, that they were adopted, and how they ended.

What has happened already is never forgotten because it cannot be written now: a full disk is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from engine.agents.base import Outcome
from engine.dispatch.settling import Ending, Settle, settle
from engine.errors import HeadwayError, RefusedError, StorageError
from engine.model import DiffStat, Failure
from engine.runner import kit, own_refs, tree
from engine.runner.launch import told_of
from engine.runner.live import Live, Surroundings
from engine.runner.masking import mask
from engine.runner.meter import Meter
from engine.runner.run_dir import Facts, RunDir, run_dir
from engine.runner.tree import Tree
from engine.runner.workspace import Placed
from engine.store import (
    Transaction,
    attachments,
    given,
    jobs,
)
from engine.store.claims import Claim
from engine.store.jobs import Launched
from engine.store.sessions import Begun
from engine.store.writer import RollbackError

logger = logging.getLogger(__name__)

T = TypeVar("T")

STORAGE_RETRY_SECONDS = 5.0  #: between tries to write down what has happened already, while the disk is full


class Clerk:
    """One for a runner. `forget` lets go of an attempt, `settled` tells that a slot is free."""

    def __init__(
        self, around: Surroundings, meter: Meter, forget: Callable[[Live], None], settled: Callable[[], None]
    ) -> None:
        self._around = around
        self._meter = meter
        self._forget = forget
        self._settled = settled

    async def note_launch(self, claim: Claim, pid: int, noted: Facts, run: RunDir) -> None:
        begun = None
        if noted.resumes is not None or noted.why:  # else the attempt's row and the session's name say it
            begun = Begun(noted.session, noted.resumes, noted.forked, noted.retires, noted.why, noted.handed)
        launched = Launched(
            pid, noted.session, noted.workspace, noted.branch, noted.base, begun, noted.note, noted.tokens, told_of(run)
        )
        equipped = kit.read_kit(run)

        def note(tx: Transaction) -> None:
            jobs.launched(tx, claim.attempt.id, launched)
            if equipped is not None:
                given.note(tx, claim.attempt.id, equipped.given)

        await self.persist(note)

    async def note_adoption(self, claim: Claim, pid: int) -> None:
        await self.persist(lambda tx: jobs.adopted(tx, claim.attempt.id, pid, self._around.boot))

    async def ends(self, live: Live, ending: Ending) -> bool:
        """Whether the job ends with this attempt. Else it goes back into the queue, and finds its worktree again.

        So does the operator who asks for its session.
        """

        def rehearse(tx: Transaction) -> bool:
            attached = attachments.holder(tx, live.claim.job.id) is not None
            over = settle(tx, live.claim.attempt.id, ending, self._around.rules).ended_at is not None
            raise RollbackError(over and not attached)

        return await self.persist(rehearse)

    async def measure(self, live: Live, placed: Placed) -> DiffStat | None:
        """The diff, without secrets. That it cannot be taken is no verdict on the agent's work."""
        launcher = self._around.launcher
        # By an engine that was killed before it could settle the attempt. What still is there is looked at.
        if live.run.tidied and placed.root is not None and not placed.root.exists():
            return DiffStat(files=0, added=0, removed=0)
        if placed.root is not None:
            await own_refs.take_back(placed.root, placed.branch, live.run, ended=True)
        try:
            return await launcher.workspaces.measure(placed, live.run)
        except (HeadwayError, OSError) as error:
            logger.warning("job %d: no diff: %s", live.claim.job.id, error)
            return None
        finally:
            for file in filter(None, (live.run.diff, live.run.answer)):
                await asyncio.to_thread(mask, file, launcher.secrets)

    async def tidy(self, live: Live, placed: Placed, *, ended: bool = False) -> None:
        """Remove a worktree in which nothing was done. `ended`: by an attempt whose job ends with it."""
        if live.claim.job.within is not None:  # others work there after it
            return
        try:
            if ended:
                live.run.note_tidied()
            await self._around.launcher.workspaces.tidy(placed)
        except (HeadwayError, OSError) as error:
            logger.warning("job %d: its workspace stays: %s", live.claim.job.id, error)

    async def settle(self, live: Live, ending: Ending) -> None:
        ending = self._told(ending)
        row = await self.persist(Settle(live.claim.attempt.id, ending, self._around.rules))
        if self._around.launcher.offers is not None:
            self._around.launcher.offers.end(live.claim.attempt.id, live.run)
        if live.ground is not None:
            await live.ground.settled(over=row.ended_at is not None)
        # Not before the settlement is durable: the next claim may come at once and must find the slot free.
        self._forget(live)
        self._settled()

    def _told(self, ending: Ending) -> Ending:
        """An ending without the keys that its agent may have quoted: it goes into the log, and that is for ever."""
        out_of, outcome = self._around.launcher.secrets.out_of, ending.outcome
        return replace(ending, outcome=replace(outcome, reason=out_of(outcome.reason), result=out_of(outcome.result)))

    async def abandon(self, live: Live, failure: Failure, reason: str, *, short: bool = False) -> None:
        """End what there is of an attempt that the engine cannot look after, and settle it. Raises nothing.

        `short`: it never began, as this machine was short of something.
        """
        claim = live.claim
        job = claim.job.id
        try:
            if live.ground is not None:
                await live.ground.stop(self._around.grace)
            group = self._around.launcher.cgroups.of(claim.attempt.marker)
            _, who = live.run.claim()
            await tree.stop(Tree(who, claim.attempt.marker, group, adopted=True), self._around.grace)
            self._around.launcher.cgroups.remove(group)
            await kit.take_away(live.run)
        except Exception:
            logger.exception("job %d: its processes could not be ended", job)
        for said in (reason.encode(errors="replace").decode(), "the engine could not look after it"):
            try:
                outcome = Outcome(succeeded=False, failure=failure, reason=said)
                peak = self._meter.peak(claim.attempt.id)
                await self.settle(live, Ending(outcome, memory_peak=peak, began=live.begun, short=short))
            except RefusedError:
                return  # it has been settled already
            except Exception:
                logger.exception("job %d: it could not be settled", job)
            else:
                return

    async def give_back(self, claim: Claim) -> None:
        run = run_dir(self._around.home, claim.job.id, claim.attempt.number)
        await kit.take_away(run)
        if self._around.launcher.offers is not None:
            self._around.launcher.offers.end(claim.attempt.id, run)
        outcome = Outcome(succeeded=False, failure=Failure.ENGINE_LOST, reason="the engine ended before it could start")
        ending = Ending(outcome, began=False)
        await self.persist(Settle(claim.attempt.id, ending, self._around.rules))
        self._settled()

    async def persist(self, operation: Callable[[Transaction], T]) -> T:
        """Write what has happened already: while the disk is full, wait and try again instead of forgetting it."""
        while True:
            try:
                return await self._around.store.write(operation)
            except StorageError as error:
                logger.error("%s; trying again in %.0f s", error, STORAGE_RETRY_SECONDS)
                await asyncio.sleep(STORAGE_RETRY_SECONDS)
