"""The course of a look: checks, reviewers, a judge, and what becomes of the job. One step at a time.

How far it is stands in the database alone. Whatever ends this engine, the next one goes on from there: checks whose end
was not written run again, with what was left of them ended first, and reviewers are asked once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from engine.dispatch import rerouting
from engine.dispatch.routing import Move, Stop, Trouble
from engine.gate import gate_cards, looking, verdict
from engine.gate.book import Gate, Gatebook
from engine.gate.looking import Result
from engine.gates.looker import MISSING, Looker
from engine.gates.reviewers import Reviewers, all_said, failed_all, forget
from engine.last_words import last_words
from engine.model import GateLook, Stage, Target, Verdict
from engine.model.route import RouteCause
from engine.runner.run_dir import run_dir
from engine.runner.workspace import Placed
from engine.store import Store, Transaction, claims, gatings
from engine.store.gatings import Opened
from engine.store.rows import JobRow, lane_of, read_spec

CHECKS_AT_ONCE = max(1, os.cpu_count() or 1)
CHANGED = "the workspace was changed while it was reviewed"


@dataclass(frozen=True, slots=True)
class Course:
    """One for an engine. `says` is told how far the look at a job has come; `wake` that a job may start."""

    store: Store
    looker: Looker
    reviewers: Reviewers
    book: Gatebook
    says: Callable[[int, str], None]
    wake: Callable[[], None]

    async def step(self, job: int) -> bool:
        """One step of the look at a job; False where it has to wait, or is over."""
        on = await self.store.look(lambda tx: self._on(tx, job))
        if on is None:
            return False
        look = on.look
        if look is None or look.ended_at is not None or look.stage is Stage.ASKING:
            # The operator has brought it back, or let it go without an answer: it is looked at once more.
            await self._begin(on)
            return True
        gate = self.book.gates.get(look.gate, Gate(look.gate, missing=True))
        match look.stage:
            case Stage.CHECKING:
                await self._check(on, look, gate)
                return True
            case Stage.REVIEWING:
                return await self._review(on, look, gate)
            case Stage.JUDGING:
                return await self._judge(on, look, gate)
            case _:
                return False

    def _on(self, tx: Transaction, job: int) -> Opened | None:
        """A job that may be looked at now: what is held is left alone."""
        on = gatings.opened(tx, job)
        if on is None or on.row.held_by is not None:
            return None
        held = claims.holds(tx)
        return None if held and not held.keys().isdisjoint(lane_of(on.row).scopes) else on

    async def _begin(self, on: Opened) -> None:
        spec = await self.store.read.spec(on.row)
        gate = self.book.gate(spec, on.row.project, on.tried.agent)
        if gate is None:  # its last word on that was another one, before the settings were changed
            name = on.look.gate if on.look is not None else "gate"
            gate = self.book.gates.get(name, Gate(name, missing=True))
        found = gate

        def begin(tx: Transaction) -> None:
            if (now := gatings.opened(tx, on.row.id)) is not None:
                if now.look is not None and now.look.ended_at is None:
                    gatings.save(tx, replace(now.look, stage=Stage.OVER, verdict=Verdict.REFUSED, ended_at=tx.now))
                gatings.first(tx, now.tried, found.name, found.digest)

        await self.store.write(begin)

    async def _check(self, on: Opened, look: GateLook, gate: Gate) -> None:
        words = await last_words(self.store, self.looker.home, on.row.id)
        looked = await self.looker.look(look, on.tried, gate, words, lambda said: self.says(on.row.id, said))
        seen, result = looked.look, looked.result
        if seen.findings or gate.missing:
            await self._write(on, seen, looked.trees, gate, None)
            await self._refuse(on, seen, gate, result, MISSING if gate.missing else "")
            return
        targets = self.book.reviewers(gate, on.tried.target, on.row.project)
        if not gate.quorum:
            await self._write(on, replace(seen, by="checks"), looked.trees, gate, None)
            await self._pass(on, replace(seen, by="checks"), result.placed)
            return
        earlier = await self.store.look(lambda tx: gatings.reviewed(tx, on.row.id, gate.digest, seen.tree))
        if earlier is not None:
            seen = replace(seen, reviews=earlier.reviews, judge=earlier.judge, reused=True)
        else:
            self.says(on.row.id, "its reviewers are asked")
            seen = replace(seen, reviews=await self.reviewers.ask(on, seen, gate, targets, result))
        await self._write(on, replace(seen, stage=Stage.REVIEWING), looked.trees, gate, Stage.REVIEWING)
        self.wake()

    async def _write(self, on: Opened, look: GateLook, trees: tuple[str, str], gate: Gate, stage: Stage | None) -> None:
        look = look if stage is None else replace(look, stage=stage)
        await self.store.write(lambda tx: gatings.checked(tx, on.tried, look, trees, gate.digest))

    async def _review(self, on: Opened, look: GateLook, gate: Gate) -> bool:
        """Take what reviewers have said by now."""
        for place, one in enumerate(look.reviews):
            if one.opinion is not None:
                continue
            said = await self.reviewers.word(look, one)
            if said is not None:
                reviews = [*look.reviews[:place], said, *look.reviews[place + 1 :]]
                await self.store.write(partial(gatings.said, look=replace(look, reviews=reviews), place=place))
                look = await self._again(on, look)
        if not all_said(look.reviews):
            waiting = [f"J{one.job} ({one.target})" for one in look.reviews if one.opinion is None]
            self.says(on.row.id, f"{len(waiting)} of {len(look.reviews)} reviews go on: {', '.join(waiting)}")
            return False
        return await self._weigh(on, look, gate)

    async def _weigh(self, on: Opened, look: GateLook, gate: Gate) -> bool:
        if not look.reused and await self._touched(on, look):
            look = replace(look, reviews=failed_all(look.reviews, CHANGED))
            await self._refuse(on, replace(look, by="headway"), gate, await self._result(on, look, gate), CHANGED)
            return True
        short = gate.quorum - len(look.reviews)
        word = verdict.weigh(look.reviews, gate.quorum, judge=look.judge, judged=gate.judge is not None)
        if word.passed is None:
            asked = await self.reviewers.ask_judge(on, look, gate, await self._result(on, look, gate))
            look = replace(look, judge=asked, stage=Stage.JUDGING)
            await self.store.write(lambda tx: gatings.save(tx, look))
            self.wake()
            return True
        look = replace(look, by=word.by, why=word.why)
        if word.passed:
            await self._pass(on, look, (await self._placed(on)))
            return True
        look = replace(look, findings=verdict.findings_of(look.reviews, look.judge))
        why = f"only {len(look.reviews)} reviewers could be found" if short > 0 else word.why
        await self._refuse(on, look, gate, await self._result(on, look, gate), why)
        return True

    async def _judge(self, on: Opened, look: GateLook, gate: Gate) -> bool:
        assert look.judge is not None, "it was asked"
        if look.judge.opinion is None:
            said = await self.reviewers.word(look, look.judge, judge=True)
            if said is None:
                self.says(on.row.id, f"its reviewers differ, and J{look.judge.job} ({look.judge.target}) judges")
                return False
            now = replace(look, judge=said)
            await self.store.write(lambda tx: gatings.said(tx, now, None))
            look = await self._again(on, now)
        return await self._weigh(on, look, gate)

    async def _again(self, on: Opened, look: GateLook) -> GateLook:
        """As it was just written."""
        return await self.store.look(lambda tx: gatings.newest(tx, on.row.id)) or look

    async def _touched(self, on: Opened, look: GateLook) -> bool:
        """Whether the workspace is not as it was when reviewers were asked."""
        if not look.tree:
            return False
        folder = run_dir(self.looker.home, look.job, look.attempt).path / look.folder
        return await looking.tree_of(self.looker.workspaces, on.tried, folder) != look.tree

    async def _result(self, on: Opened, look: GateLook, gate: Gate) -> Result:
        folder = run_dir(self.looker.home, look.job, look.attempt).path / look.folder
        return await looking.look(self.looker.workspaces, on.tried, folder, gate.evidence)

    async def _placed(self, on: Opened) -> Placed:
        return await looking.placed(self.looker.home, on.tried)

    async def _pass(self, on: Opened, look: GateLook, where: Placed) -> None:
        def write(tx: Transaction) -> JobRow | None:
            now = gatings.opened(tx, on.row.id)
            return gatings.passed(tx, now, look) if now is not None else None

        await self._clear(look, where)
        await self.store.write(write)
        self.wake()

    async def _refuse(self, on: Opened, look: GateLook, gate: Gate, result: Result, why: str) -> None:
        """Send it back, or ask the operator, or do what its route says of work that is not good enough."""
        await self._clear(look, result.placed)
        if not look.findings and why:
            look = replace(look, why=why)

        def write(tx: Transaction) -> None:
            if (now := gatings.opened(tx, on.row.id)) is not None:
                self._follow(tx, now, look, gate, result.text)

        await self.store.write(write)
        self.wake()

    def _follow(self, tx: Transaction, on: Opened, look: GateLook, gate: Gate, patch: str) -> None:
        reason = verdict.summary(look)
        gatings.refused(tx, on, look, reason)
        before = on.before if on.before is not None and on.before.round == look.round - 1 else None
        follows = verdict.after_refusal(look, before, gate.rounds)
        if follows.again:
            gatings.sent_back(tx, on.row, look, reason)
            return
        routes = self.reviewers.book
        spec = read_spec(tx.connection, on.row)
        turn = None
        if on.row.target == on.tried.target:
            trouble = Trouble(RouteCause.QUALITY, reason, None, started=True)
            turn = rerouting.after_failure(tx, routes, on.row, spec, trouble)
        if turn is not None and isinstance(turn.verdict, Move):
            row = gatings.sent_back(tx, on.row, look, reason, fresh=True)
            rerouting.make(tx, row, turn.verdict, turn, on.tried.id)
        elif turn is not None and isinstance(turn.verdict, Stop):
            gatings.failed(tx, on.row, look, f"{reason} ({turn.verdict.why})")
        else:
            gate_cards.put_up(tx, on, look, follows.why, patch, self._others(on.row))

    def _others(self, row: JobRow) -> list[Target]:
        """Who else may go on with a job: the targets of its route, else those that the settings name."""
        route = self.reviewers.book.routes.get(row.route or "")
        known = route.targets if route is not None else self.book.known
        barred = self.book.privacy.barred
        return [one for one in dict.fromkeys(known) if one != row.target and not barred(one, row.project)]

    async def _clear(self, look: GateLook, where: Placed) -> None:
        """What was made for reviewers is read by nobody any more."""
        if look.reviews:
            await forget(where, look)
            await asyncio.to_thread(self.reviewers.take_copies_away, look)
