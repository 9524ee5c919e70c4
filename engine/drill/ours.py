"""A recorded day with the engine's own store, dispatcher, settlement and readers. Only the clock is not the real one.

Every decision is the engine's: a round of the dispatcher claims, the agents' parsers and `Watch` read what the players
print, `Settle` decides what follows. What is left out are processes and the waiting for them: here is a heap of
moments, and the clock jumps from one to the next.
"""

from __future__ import annotations

import heapq
import random
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.agents.base import Agent, Exit
from engine.agents.registry import agents as all_agents
from engine.config import AccountSettings, PriceSettings, RouteSettings, Settings
from engine.dispatch.budget import Budget
from engine.dispatch.dispatcher import CLAIM_LIMIT, LOOK_SECONDS, Dispatcher
from engine.dispatch.routebook import Routebook
from engine.dispatch.settling import Ending, Rules, Settle
from engine.drill.book import Book, Trial
from engine.drill.provider import Provider
from engine.drill.stage import HANDED_TOKENS, Stage
from engine.hub import Hub
from engine.model import JobSpec, State, Wanted
from engine.model.route import RoutePolicy
from engine.rehearsal.day import Account, Errand, Plan
from engine.runner import record
from engine.runner.watch import Watch
from engine.spend.budgets import Budgets
from engine.spend.prices import Prices
from engine.store import Store, Transaction, jobs, windows
from engine.store.claims import Claim
from engine.store.jobs import Launched
from engine.store.rows import JobRow
from engine.store.sessions import Begun, Heard
from engine.store.submit import Admission
from engine.submission import accepted
from engine.units import milliseconds
from engine.window import Reading

AGENT = "rehearsal"


def settings_of(plan: Plan) -> Settings:
    """What headway.yaml would say of the day's accounts."""
    accounts = {name: AccountSettings(agent=AGENT, max_running=one.slots) for name, one in plan.accounts.items()}
    routes = {
        name: RouteSettings(
            targets=[f"{AGENT}:{model_of(plan.accounts[account])}@{account}" for account in one.accounts],
            limit=RoutePolicy.REROUTE,
            patience=one.patience,
        )
        for name, one in plan.day.routes.items()
    }
    prices = {one.model: PriceSettings(**msgspec.structs.asdict(one.price)) for one in plan.accounts.values()}
    return Settings(max_running=plan.day.slots, default_agent=AGENT, accounts=accounts, routes=routes, prices=prices)


def model_of(account: Account) -> str:
    """What a job of an account asks for: the format is what matters. The scenario is a file, so nobody looks it up."""
    return f"{account.format}/day.yaml"


@dataclass(slots=True)
class _Attempt:
    """One that runs."""

    claim: Claim
    trial: Trial
    watch: Watch
    record: record.Record
    readings: list[Reading]
    heard: list[Heard]


@dataclass(frozen=True, slots=True)
class Played:
    """A day that was played by the engine."""

    book: Book
    burnt: int
    """Attempts that a limit used up."""
    told: frozenset[int]
    """The errands of which a move to another account is on record."""


#: A job's count of attempts that matter, beside those of its attempts that did not end by a limit.
_BURNT = (
    "SELECT total(jobs.tries) - (SELECT count(*) FROM attempts WHERE ended_at IS NOT NULL AND "
    "(failure IS NULL OR failure NOT IN ('rate_limited', 'overloaded'))) FROM jobs WHERE ended_at IS NOT NULL"
)


def _burnt(tx: Transaction) -> int:
    return int(tx.connection.execute(_BURNT).fetchone()[0])


def _moved(tx: Transaction) -> list[int]:
    return [job for (job,) in tx.connection.execute("SELECT DISTINCT job FROM moves")]


async def play(plan: Plan, home: Path) -> Played:
    """Let the engine have the day, with its store in a home of its own. The same seed gives the same book."""
    course: _Course | None = None
    before = random.getstate()
    random.seed(plan.seed)  # the jitter of retries and breakers is the engine's own
    store = await Store.open(home, clock=lambda: course.now if course is not None else plan.day.zero)
    try:
        course = _Course(plan, home, store)
        await course.run()
        moved = await store.look(_moved)
        told = frozenset(course.errands[job].number for job in moved)
        return Played(course.book, await store.look(_burnt), told)
    finally:
        await store.close()
        random.setstate(before)


class _Course:
    """One day in its course."""

    def __init__(self, plan: Plan, home: Path, store: Store) -> None:
        self.plan = plan
        self.now = plan.day.zero
        self.book = Book()
        self.store = store
        self.settings = settings_of(plan)
        self.agents = all_agents()
        self.agent: Agent = self.agents[AGENT]
        self.routes = Routebook.of(self.settings, self.agents, {})
        self.rules = Rules(self.settings.max_attempts, Budget.of(self.settings), self.routes, Budgets.of(self.settings))
        self.dispatcher = Dispatcher(store, self.settings, self.agents, "drill", lambda claim: None, book=self.routes)
        self.provider = Provider(plan)
        self.stage = Stage(home / "sessions", lambda: self.now, plan.day.tokens)
        self.prices = Prices.of_settings(self.settings)
        self.dice = random.Random(plan.seed)
        self.hub = Hub()
        self.errands: dict[int, Errand] = {}
        """By the job's id in the store."""
        self.heap: list[tuple[int, int, Errand | _Attempt | None]] = []
        self.number = 0
        self.look_at: int | None = None

    async def run(self) -> None:
        for errand in self.plan.errands:
            self._at(errand.comes, errand)
        end = self.plan.day.zero + milliseconds(self.plan.day.lost)
        while self.heap and self.heap[0][0] <= end and len(self.book.ends) + len(self.book.failed) < self.plan.count:
            self.now = now = self.heap[0][0]
            wakes = self.look_at is not None and self.look_at <= now
            while self.heap and self.heap[0][0] <= now:
                what = heapq.heappop(self.heap)[2]
                if isinstance(what, Errand):
                    await self._submit(what)
                    wakes = True
                elif what is not None:
                    wakes = await self._step(what) or wakes
            if wakes:
                await self._dispatch()

    def _at(self, when: int, what: Errand | _Attempt | None) -> None:
        self.number += 1  # of what happens at one moment, what was thought of first comes first
        heapq.heappush(self.heap, (when, self.number, what))

    async def _submit(self, errand: Errand) -> None:
        account = self.plan.accounts[errand.account]
        spec = JobSpec(
            prompt=f"errand {errand.number}",
            agent=AGENT,
            model=model_of(account),
            account=errand.account,
            route=errand.route,
            kind=errand.kind,
            priority=errand.priority,
        )
        submission = accepted(Wanted([spec]), self.settings, self.agents.keys(), self.now, self.routes)
        admitted = await self.store.write(Admission(submission))
        self.errands[admitted.ids[0]] = errand

    async def _dispatch(self) -> None:
        """As `Dispatcher.run` does it: rounds until nothing more starts, then a look at the next moment that counts."""
        while True:
            found = await self.store.write(self.dispatcher.round)
            for claim in found.claims:
                await self._begin(claim)
            if len(found.claims) < CLAIM_LIMIT and (found.due is None or found.due > found.now):
                break
        self.look_at = None
        if found.due is not None:
            self.look_at = min(found.due, found.now + round(LOOK_SECONDS * 1000))
            self._at(self.look_at, None)

    async def _begin(self, claim: Claim) -> None:
        errand, row = self.errands[claim.job.id], claim.attempt
        assert row.account is not None, "every errand names one"
        account = self.plan.accounts[row.account]
        resumed = claim.session is not None
        name = (
            claim.session.id if claim.session is not None else str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        )
        before = claim.previous.session if claim.previous is not None and not resumed and not claim.anew else None
        play = self.stage.attempt(account, row.job, name, resumed=resumed, handed=before)
        tried = self.book.begin(errand, row.account, self.now)
        readings: list[Reading] = []
        heard: list[Heard] = []
        parser = self.agent.parser(model=row.model, resumed=resumed)
        watch = Watch(row.job, row.id, row.target, parser, self.hub, readings.extend, heard.append)
        folder = self.stage.sessions(row.job)
        kept = self.agent.record({"CODEX_HOME": str(folder)} if account.format == "codex" else {})
        attempt = _Attempt(
            claim,
            Trial(self.book, self.provider, play, tried, first=row.number == 1),
            watch,
            record.Record(
                kept, record.size(kept, name if resumed else None), watch.recorded, clock=lambda: self.now / 1000
            ),
            readings,
            heard,
        )
        session = name if resumed or account.format in ("claude", "gemini") else None
        begun = Begun(session, why=claim.why, handed=before is not None) if claim.why else None
        tokens = HANDED_TOKENS if before is not None else 0
        launched = Launched(row.id, session, str(folder), None, None, begun, tokens=tokens)
        await self.store.write(lambda tx: jobs.launched(tx, row.id, launched))
        self._at(self.now, attempt)

    async def _step(self, one: _Attempt) -> bool:
        """Let an attempt go on, and read what it prints. Whether that may let others start."""
        following = one.trial.step(self.now)
        one.watch.sink(one.trial.play.lines())
        while one.record.read(one.watch.session):
            pass
        # `Watch` looks at the machine's clock, which is not the day's.
        told = [replace(reading, at=self.now) for reading in one.readings]
        account = one.claim.attempt.target.paid_by
        news = bool(told) and bool(await self.store.write(lambda tx: windows.record(tx, account, told)))
        attempt = one.claim.attempt.id
        for what in one.heard:
            await self.store.write(lambda tx, told=what: jobs.heard(tx, attempt, told))  # type: ignore[misc]
        one.readings.clear()
        one.heard.clear()
        if following is not None:
            self._at(following, one)
            return news
        await self._settle(one)
        return True

    async def _settle(self, one: _Attempt) -> None:
        await one.record.finish(one.watch.session)
        one.watch.close()
        code = one.trial.play.code
        assert code is not None, "it has ended"
        outcome = one.watch.judged(one.watch.parser.outcome(Exit(code), ""), None)
        ending = Ending(
            outcome,
            exit_code=code,
            heard=one.watch.told,
            resumable=self.agent.resumable and (outcome.session or one.watch.session) is not None,
            harmless=not self.agent.effects,
            provider=self.agent.provider,
            spent=tuple(self.prices.priced(one.watch.parser.spent, one.claim.attempt.target)),
        )
        row: JobRow = await self.store.write(Settle(one.claim.attempt.id, ending, self.rules))
        if row.state is State.SUCCEEDED:
            self.book.ends[one.trial.tried.errand.number] = self.now
        elif row.ended_at is not None:
            self.book.failed[one.trial.tried.errand.number] = self.now
