"""What a starting engine does with the attempts of the one before it: adopts, settles or gives back each of them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

from engine.agents.base import Agent
from engine.errors import RefusedError
from engine.model import Failure
from engine.runner import procfs, tree
from engine.runner.adopt import Finding, finding
from engine.runner.clerk import Clerk
from engine.runner.ground import Elsewhere, Ground, Here
from engine.runner.launch import placed_at
from engine.runner.live import Live, Surroundings
from engine.runner.run_dir import Claimed, Facts, run_dir
from engine.runner.tree import Tree
from engine.runner.workspace import Placed
from engine.store.claims import Claim
from engine.tap.again import find_key
from engine.tap.door import Whose
from engine.tap.tap import Tap

logger = logging.getLogger(__name__)

Life = Callable[[Live], Awaitable[None]]


class TakingOver:
    """Judges each attempt. `own` gives it to the runner with what is to be done, `watch` follows it to its end."""

    def __init__(
        self,
        around: Surroundings,
        clerk: Clerk,
        elsewhere: Elsewhere | None,
        own: Callable[[Claim, Life], None],
        watch: Callable[[Live, Agent, Ground, Placed], Awaitable[None]],
        begin: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        """`begin` starts something beside the attempts."""
        self._around = around
        self._clerk = clerk
        self._elsewhere = elsewhere
        self._own = own
        self._watch = watch
        self._begin = begin

    async def all(self, claims: list[Claim]) -> None:
        """Returns when each has been judged."""
        for claim in claims:
            try:
                await self._one(claim)
            except Exception as error:
                logger.exception("job %d: it cannot be taken over", claim.job.id)
                live = Live(claim, run_dir(self._around.home, claim.job.id, claim.attempt.number), begun=True)
                await self._clerk.abandon(live, Failure.UNKNOWN, f"it could not be taken over: {error}")

    async def _one(self, claim: Claim) -> None:
        if claim.attempt.node is not None:
            await self._one_elsewhere(claim, claim.attempt.node)
            return
        run = run_dir(self._around.home, claim.job.id, claim.attempt.number)
        claimed, who = run.claim()
        if claimed is Claimed.NEVER and not run.void():
            claimed, who = run.claim()  # its shim was quicker
        alive = who is not None and procfs.is_alive(who)
        found = finding(claimed, run.exit_code(), alive)
        noted = run.facts()
        group = self._around.launcher.cgroups.of(claim.attempt.marker)
        whole = Tree(who, claim.attempt.marker, group, adopted=True)
        if found is Finding.NEVER_STARTED:
            # The files are where an agent can reach them: what was launched, or lives, is not believed to be neither.
            left = await asyncio.to_thread(whole.members)
            if claim.attempt.started_at is None and not left:
                await self._clerk.give_back(claim)
                return
            if claim.attempt.started_at is None and not noted:
                self._end_preparing(claim, whole)
                return
            found = Finding.LOST
        logger.info("attempt %d of job %d: %s", claim.attempt.number, claim.job.id, found)
        if claim.attempt.started_at is None and noted is not None:
            await self._clerk.note_launch(claim, who.pid if who else 0, noted, run)
        if found is Finding.ADOPT and who is not None:
            self._around.launcher.secrets.learn_from(procfs.environment(who.pid))
            await self._clerk.note_adoption(claim, who.pid)
        self._go_on(claim, whole, noted)

    async def _one_elsewhere(self, claim: Claim, node: str) -> None:
        """It was given to another machine: what has become of it shows once that is reached."""
        if self._elsewhere is None:
            raise RefusedError(f"it runs on {node}, and headway.yaml names no cluster any more")
        run = run_dir(self._around.home, claim.job.id, claim.attempt.number)
        noted = run.facts()
        if noted is None and claim.attempt.started_at is None:
            await self._clerk.give_back(claim)  # it is noted before the machine hears of it
            return
        there = placed_at(noted) or Placed(Path(claim.attempt.workspace or "/"))
        if claim.attempt.started_at is None and noted is not None:
            await self._clerk.note_launch(claim, 0, noted, run)
        ground = self._elsewhere.adopt(claim, run, there)
        await self._clerk.note_adoption(claim, claim.attempt.pid or 0)
        agent = self._around.launcher.agent(claim.attempt.agent)

        async def follow(live: Live) -> None:
            live.begun, live.ground = True, ground
            live.session = (noted.session if noted else None) or claim.attempt.session
            await self._watch(live, agent, ground, there)

        self._own(claim, follow)

    def _end_preparing(self, claim: Claim, whole: Tree) -> None:
        """Git is at work on its workspace still. Only once that has ended may another attempt have it."""

        async def end(live: Live) -> None:
            await tree.stop(whole, self._around.grace)
            await self._clerk.give_back(claim)

        self._own(claim, end)

    def _go_on(self, claim: Claim, whole: Tree, noted: Facts | None) -> None:
        launcher = self._around.launcher
        agent = launcher.agent(claim.attempt.agent)
        ground = here_of(self._around, claim, whole)
        if launcher.tap is not None and noted is not None and noted.tapped is not None and ground.runs():
            self._tap_again(launcher.tap, claim, noted.tapped)
        if launcher.offers is not None and noted is not None and noted.capability is not None and ground.runs():
            launcher.offers.again(claim, agent, noted.capability)
        there = placed_at(noted) or Placed(Path(claim.attempt.workspace or "/"))

        async def follow(live: Live) -> None:
            live.begun = True
            live.session = (noted.session if noted else None) or claim.attempt.session
            await self._watch(live, agent, ground, there)

        self._own(claim, follow)

    def _tap_again(self, tap: Tap, claim: Claim, upstream: str) -> None:
        """An agent that outlived its engine goes on calling the address that it knows."""
        attempt, launcher = claim.attempt, self._around.launcher
        door = tap.open(
            Whose(attempt.job, attempt.id, str(attempt.account), attempt.marker, attempt.model), upstream, None
        )
        account = launcher.settings.accounts.get(str(attempt.account))
        finding_key = find_key(door, account, launcher.secrets, os.environ)
        self._begin(finding_key)


def here_of(around: Surroundings, claim: Claim, whole: Tree) -> Here:
    """An attempt's processes on this machine."""
    run = run_dir(around.home, claim.job.id, claim.attempt.number)
    return Here(whole, run, around.launcher.cgroups, subreaper=around.subreaper)
