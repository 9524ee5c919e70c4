"""A day of a fleet, played: the dispatcher's own decisions in a world whose clock jumps from one happening to the next.

What is decided is decided by the functions that the engine itself calls: the order of the queue and what keeps a lane
from starting, windows, pacing, breakers, the table of failures, routes, the retry budget, and the states of a job. What
is made up is what they are told: jobs that come, providers that answer, hosts.

A heap of moments is all the machinery that it needs. A library of processes and resources (simpy) would bring a queue
for resources, which is the very thing that the dispatcher is here, and takes a generator and an event for each wait.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from engine import events as log
from engine.agents.base import Agent
from engine.agents.registry import agents as all_agents
from engine.dispatch.dispatcher import CLAIM_LIMIT
from engine.dispatch.order import Lineup
from engine.dispatch.retry import Action
from engine.dispatch.snapshot import Configured
from engine.dispatch.waiting import Waiting
from engine.dispatch.world import World
from engine.model import ALL, Failure, JobSpec, Target
from engine.simulation.control import Control
from engine.simulation.errands import Errand, Login, draw, logins
from engine.simulation.parts import Account, Attempt, Job, settings_of
from engine.simulation.places import Host, Places
from engine.simulation.scenario import Scenario
from engine.simulation.supply import Answer, Meter, Supply, meter
from engine.simulation.tally import Load, Tally
from engine.store.fold import apply
from engine.store.rows import JobRow, lane_of
from engine.units import milliseconds
from engine.window import Reading, Standing

SOURCE = "the simulation"
MOST_TOLD = 0.99  #: of a window that still serves: it is closed by what comes after

_Call = Callable[[Any], None]


class Course:
    """One day in its course. The same scenario and seed give the same day."""

    def __init__(self, scenario: Scenario, seed: int | None = None, errands: Iterable[Errand] | None = None) -> None:
        """`errands`: the jobs, where they are not to be drawn, in the order in which they come."""
        self.scenario = scenario
        seed = scenario.seed if seed is None else seed
        self.dice = random.Random(f"course {seed}")
        known = logins(scenario)
        settings = settings_of(scenario, known)
        configured = Configured.of(settings)
        self.world = World(
            now=scenario.zero,
            caps=dict(configured.caps),
            pacing=configured.pacing,
            ageing=configured.ageing,
        )
        self.lineup = Lineup(self.world)
        self.control = Control(self.world, self.lineup, settings, self.dice, self._logged)
        self.places = Places.of(scenario.hosts.count, scenario.hosts.slots)
        self.tally = Tally(scenario.zero, scenario.span)
        self.call_ms, self.startup = milliseconds(scenario.call), milliseconds(scenario.startup)
        agents = all_agents()
        self.accounts = {one.name: self._account(one, agents) for one in known}
        self.jobs: dict[int, Job] = {}
        """Those that have not ended, by id."""
        self.attempts: dict[int, Attempt] = {}
        """Those that run, by their job."""
        self.waiting: dict[tuple[str | None, str | None, str | None], Waiting] = {}
        self.submitted = self.done = self.failed = self.held = self.moved = 0
        self.end = scenario.zero + scenario.span
        self._errands: Iterator[Errand] = iter(draw(scenario, seed) if errands is None else errands)
        self._heap: list[tuple[int, int, _Call, Any]] = []
        self._numbers = 0
        self._woken = False
        self._prepare()

    def _account(self, login: Login, agents: Mapping[str, Agent]) -> Account:
        scenario, said = self.scenario, self.scenario.accounts[login.sort]
        troubles = [one for one in scenario.outages if login.sort in one.accounts]
        begins = [(scenario.zero + milliseconds(one.begins), milliseconds(one.lasts)) for one in troubles]
        outages = [range(begin, begin + lasts) for begin, lasts in begins]
        meters = [meter(one, scenario.zero, self.dice.random()) for one in said.windows]
        supply = Supply(self.call_ms, meters, outages, at=scenario.zero)
        return Account(login, Target(said.agent, said.model, login.name), agents[said.agent], supply)

    def _prepare(self) -> None:
        """Put what is known beforehand into the heap."""
        self._next_errand()
        for account in self.accounts.values():
            for one in account.supply.meters:
                self._at(one.ends, self._rolls, (account, one))
            for outage in account.supply.outages:
                self._at(outage.start, self._looks, account)
                self._at(outage.stop, self._looks, account)
        for loss in self.scenario.hosts.lost:
            begins = self.scenario.zero + milliseconds(loss.begins)
            for _ in range(loss.count):
                self._at(begins, self._loses, milliseconds(loss.lasts))

    def run(self, progress: Callable[[int], None] = lambda now: None) -> None:
        """Play it to its end. `progress` hears of each moment."""
        while self.step():
            progress(self.world.now)
        self._pass_time(self.end)

    def step(self) -> bool:
        """Let all happen that is next, and what the dispatcher makes of it. Whether there was anything."""
        if not self._heap or self._heap[0][0] >= self.end:
            return False
        now = self._heap[0][0]
        self._pass_time(now)
        while self._heap and self._heap[0][0] <= now:
            _, _, call, argument = heapq.heappop(self._heap)
            call(argument)
        if self._woken:
            self._woken = False
            self._dispatch()
        return True

    def _pass_time(self, now: int) -> None:
        self.tally.hold(now, self.world.total, self.world.caps[ALL])
        self.world.now = now

    def _at(self, when: int, call: _Call, argument: Any) -> None:
        self._numbers += 1  # of what happens at one moment, what was thought of first comes first
        heapq.heappush(self._heap, (when, self._numbers, call, argument))

    def _logged(self) -> None:
        self.tally.count(Load.EVENTS, self.world.now)

    def _after(self, row: JobRow | None, job: int, body: log.AnyBody) -> JobRow:
        """A job after an event, by the engine's own table."""
        self._logged()
        return apply(row, log.Event(seq=job, at=self.world.now, body=body, job=job, attempt=job))

    # Jobs

    def _next_errand(self) -> None:
        errand = next(self._errands, None)
        if errand is not None:
            self._at(errand.comes, self._comes, errand)

    def _comes(self, errand: Errand) -> None:
        self.submitted += 1
        number, target = self.submitted, self.accounts[errand.account].target
        spec = JobSpec(prompt=errand.kind, agent=target.agent, kind=errand.kind, priority=errand.priority)
        body = log.Submitted(spec, errand.kind, target.agent, target.model, errand.project, account=target.account)
        row = self._after(None, number, body)
        self.tally.count(Load.SUBMITS, self.world.now)
        job = self.jobs[number] = Job(row, errand, errand.calls, self._line(row))
        self._enter(job)
        self._next_errand()

    def _line(self, row: JobRow) -> Waiting:
        """Where a job waits. Jobs of one account, project and kind are alike."""
        named = row.account, row.project, row.kind
        found = self.waiting.get(named)
        if found is None:
            found = self.waiting[named] = Waiting(lane_of(row))
        return found

    def _enter(self, job: Job) -> None:
        """Nothing of its own keeps a job from starting any more."""
        if job.waiting.enter(job.row):
            assert job.waiting.line is not None, "it has a head now"
            self.lineup.put(job.waiting.line)
        self._woken = True

    def _due(self, job: Job) -> None:
        """The time of a job that waits for one has come."""
        if job.row.not_before is not None and job.row.not_before <= self.world.now:
            job.row = self._after(job.row, job.row.id, log.Due())
            self._enter(job)

    # The dispatcher

    def _dispatch(self) -> None:
        """As the dispatcher's loop: rounds until nothing more starts."""
        while True:
            self.tally.count(Load.ROUNDS, self.world.now)
            if self.world.full:
                return
            chosen = self.lineup.take(CLAIM_LIMIT)
            for row in chosen:
                self._begin(row)
            if len(chosen) < CLAIM_LIMIT:
                return

    def _begin(self, row: JobRow) -> None:
        now, job = self.world.now, self.jobs[row.id]
        job.row = self._after(row, row.id, log.Claimed(number=row.attempts + 1))
        self.tally.count(Load.CLAIMS, now)
        if job.row.attempts == 1:
            self.tally.waits[job.errand.kind].append(now - job.errand.comes)
        account = self.accounts[row.account or ""]
        attempt = Attempt(job, account, self.places.take(), job.waiting.lane, now)
        self.attempts[row.id] = attempt
        account.running[attempt] = None
        self._later(attempt, now + self.startup)

    # Attempts

    def _later(self, attempt: Attempt, when: int) -> None:
        attempt.next_at = when
        self._at(when, self._goes_on, attempt)

    def _goes_on(self, attempt: Attempt) -> None:
        """An attempt has come to its first call, to one that may be refused, or to its end."""
        now = self.world.now
        if attempt.next_at != now or self.attempts.get(attempt.job.row.id) is not attempt:
            return  # it was to, as things were before
        if attempt.since is not None and attempt.ends <= now:
            self._end(attempt, attempt.failure)
            return
        supply = attempt.account.supply
        supply.advance(now)
        answer = supply.answer(now)
        if attempt.since is None:
            self._logged()  # that its process runs
        if answer is not Answer.SERVED:
            self._refuse(attempt, answer)
        elif attempt.since is None:
            self._work(attempt)
        else:
            self._later(attempt, attempt.ends)

    def _work(self, attempt: Attempt) -> None:
        """Its first call is served."""
        now, account = self.world.now, attempt.account
        self._hear(account)
        lasts = attempt.job.left * self.call_ms
        attempt.since, attempt.ends = now, now + lasts
        if self.dice.random() < self.scenario.crashes:
            attempt.ends, attempt.failure = now + int(self.dice.random() * lasts), Failure.CRASHED
        account.supply.working += 1
        self._later(attempt, attempt.ends)
        self._plan(account)

    def _refuse(self, attempt: Attempt, answer: Answer) -> None:
        """A call of it is refused, which ends it."""
        self.tally.refused[answer] += 1
        if answer is Answer.OUTAGE:
            self._end(attempt, Failure.OVERLOADED)
            return
        attempt.retry_at = attempt.account.supply.reopens()
        self._hear(attempt.account)
        self._end(attempt, Failure.RATE_LIMITED)

    def _end(self, attempt: Attempt, failure: Failure | None) -> None:
        now, job, account = self.world.now, attempt.job, attempt.account
        account.supply.advance(now)
        if attempt.since is not None:
            job.left = max(0, job.left - (now - attempt.since) // self.call_ms)
            account.supply.working -= 1
        del self.attempts[job.row.id], account.running[attempt]
        self.places.give_back(attempt.host, now - attempt.begun)
        self.lineup.end(attempt.lane, attempt.begun)
        self.tally.count(Load.SETTLES, now)
        self.tally.ends[failure or "succeeded"] += 1
        self._settle(attempt, failure)
        self._plan(account)
        self._woken = True

    def _settle(self, attempt: Attempt, failure: Failure | None) -> None:
        """What becomes of its job."""
        now, job = self.world.now, attempt.job
        decided = self.control.settle(attempt, failure)
        self._expect(attempt.account)
        if failure is None or decided is None:
            job.row = self._after(job.row, job.row.id, log.Succeeded())
            self.tally.flows[job.errand.kind].append(now - job.errand.comes)
            self.done += 1
            del self.jobs[job.row.id]
        elif decided.action is Action.STOP:
            job.row = self._after(job.row, job.row.id, log.Failed(failure, decided.why))
            self.failed += 1
            del self.jobs[job.row.id]
        else:
            again = log.Requeued(failure, decided.why, decided.at, (), decided.counted, decided.fresh, decided.anew)
            job.row = self._after(job.row, job.row.id, again)
            if decided.action is Action.ASK:
                job.row = self._after(job.row, job.row.id, log.Held(by="engine"))
                self.held += 1
            elif decided.at is not None:
                self._at(max(now, decided.at), self._due, job)
            else:
                self._enter(job)

    # The provider

    def _plan(self, account: Account) -> None:
        """See to it that an account is looked at when the next percent of a window is used."""
        now = self.world.now
        at = account.supply.next_percent(now)
        if at is not None and (account.look_at <= now or at < account.look_at):
            account.look_at = at
            self._at(at, self._looks, account)

    def _looks(self, account: Account) -> None:
        now, supply = self.world.now, account.supply
        supply.advance(now)
        if supply.answer(now) is not Answer.SERVED:
            self._interrupt(account)
        elif supply.working:
            self._hear(account)
        self._plan(account)

    def _interrupt(self, account: Account) -> None:
        """It serves no more: what works there learns so by its next call."""
        now = self.world.now
        for attempt in account.running:
            if attempt.since is not None:
                asks = attempt.since + -(-(now - attempt.since) // self.call_ms) * self.call_ms
                if asks < attempt.ends:
                    self._later(attempt, asks)

    def _rolls(self, what: tuple[Account, Meter]) -> None:
        """A window gives way to the next one."""
        account, one = what
        account.supply.advance(self.world.now)
        self._at(one.ends, self._rolls, what)
        self._plan(account)
        # What was known of it is of a time that is over: it keeps nothing from starting any more.
        self._reopens(account)

    def _hear(self, account: Account) -> None:
        """The answer to a call tells of the windows."""
        news = False
        for one in account.supply.meters:
            if one.told:
                reading = Reading(
                    window=one.name,
                    standing=Standing.CLOSED if one.closed else Standing.OPEN,
                    at=self.world.now,
                    source=SOURCE,
                    used=1.0 if one.closed else min(MOST_TOLD, one.share),
                    resets_at=one.ends,
                    length=one.every,
                    asked=account.target.model or "",
                )
                news = self.control.observe(account, reading) or news
        if news:
            self._expect(account)
            self._woken = True

    # What the engine waits for

    def _expect(self, account: Account) -> None:
        """Wake the dispatcher when a window or a breaker lets more start."""
        now = self.world.now
        times = self.control.times(account)
        at = min((one for one in times if one > now), default=None)
        if at is not None and (account.opens_at <= now or at < account.opens_at):
            account.opens_at = at
            self._at(at, self._opens, account)

    def _opens(self, account: Account) -> None:
        self._reopens(account)
        self._expect(account)

    def _reopens(self, account: Account) -> None:
        self.lineup.reopen(f"account:{account.target.paid_by}")
        self.lineup.reopen(f"target:{account.target}")
        self._woken = True

    # The hosts

    def _loses(self, lasts: int) -> None:
        """A host is lost for a time, with all that runs on it."""
        there = [one for one in self.places.hosts if not one.lost]
        if not there:
            return
        host = self.dice.choice(there)
        self.places.lose(host)
        self._slots(-host.slots)
        for attempt in [one for one in self.attempts.values() if one.host is host]:
            self._end(attempt, Failure.ENGINE_LOST)
        self._at(self.world.now + lasts, self._finds, host)

    def _finds(self, host: Host) -> None:
        self.places.find(host)
        self._slots(host.slots)

    def _slots(self, by: int) -> None:
        self.world.caps = {**self.world.caps, ALL: self.world.caps[ALL] + by}
        self.lineup.reopen(ALL)
        self._woken = True
