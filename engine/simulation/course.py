"""A day of a fleet, played: the dispatcher's own decisions in a world whose clock jumps from one happening to the next.

What is decided is decided by the functions that the engine itself calls: the order of the queue and what keeps a lane
from starting, windows, pacing, breakers, the table of failures, routes, the retry budget, and the states of a job. What
is made up is what they are told: jobs that come, providers that answer, hosts.

A heap of moments is all the machinery that it needs. A library of processes and resources (simpy) would bring a queue
for resources, which is the very thing that the dispatcher is here, and takes a generator and an event for each wait.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from engine import events as log
from engine.agents.base import Agent
from engine.agents.registry import agents as all_agents
from engine.dispatch import shifting
from engine.dispatch.dispatcher import CLAIM_LIMIT
from engine.dispatch.order import Lineup
from engine.dispatch.retry import Action
from engine.dispatch.routebook import Route
from engine.dispatch.routing import Move, Turn, Verdict
from engine.dispatch.snapshot import Configured
from engine.dispatch.waiting import Waiting
from engine.dispatch.world import World
from engine.model import ALL, LIMITS, Failure, JobSpec, Target
from engine.simulation.control import Control
from engine.simulation.errands import Errand, Login, draw, logins
from engine.simulation.moments import Moments
from engine.simulation.parts import Account, Attempt, Job, settings_of
from engine.simulation.places import Host, Places
from engine.simulation.scenario import Scenario
from engine.simulation.shifts import Shifts, rerouting, routes_of
from engine.simulation.supply import Answer, Supply, meter
from engine.simulation.tally import Load, Tally
from engine.simulation.weather import Weather
from engine.store.fold import apply
from engine.store.rows import JobRow, lane_of
from engine.units import milliseconds


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
        self.moments = Moments()
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
        self.shifts = Shifts(
            self.world,
            self.control,
            routes_of(self.accounts, milliseconds(scenario.patience)),
            self.jobs,
            self._move,
        )
        self.weather = Weather(self.moments, self.control, self.lineup, self.shifts, self._later)
        self.submitted = self.done = self.failed = self.held = self.moved = 0
        self.end = scenario.zero + scenario.span
        self._errands: Iterator[Errand] = iter(draw(scenario, seed) if errands is None else errands)
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
            self.weather.begin(account)
        for loss in self.scenario.hosts.lost:
            begins = self.scenario.zero + milliseconds(loss.begins)
            for _ in range(loss.count):
                self.moments.at(begins, self._loses, milliseconds(loss.lasts))

    def run(self, progress: Callable[[int], None] = lambda now: None) -> None:
        """Play it to its end. `progress` hears of each moment."""
        while self.step():
            progress(self.world.now)
        self._pass_time(self.end)

    def step(self) -> bool:
        """Let all happen that is next, and what the dispatcher makes of it. Whether there was anything."""
        now = self.moments.next()
        if now is None or now >= self.end:
            return False
        self._pass_time(now)
        self.moments.happen(now)
        if self.moments.woken:
            self.moments.woken = False
            self._dispatch()
        return True

    def _pass_time(self, now: int) -> None:
        self.tally.hold(now, self.world.total, self.world.caps[ALL])
        self.world.now = now

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
            self.moments.at(errand.comes, self._comes, errand)

    def _comes(self, errand: Errand) -> None:
        self.submitted += 1
        number, target = self.submitted, self.accounts[errand.account].target
        spec = JobSpec(prompt=errand.kind, agent=target.agent, kind=errand.kind, priority=errand.priority)
        body = log.Submitted(spec, errand.kind, target.agent, target.model, errand.project, account=target.account)
        row = self._after(None, number, body)
        self.tally.count(Load.SUBMITS, self.world.now)
        route = self.shifts.routes.get(errand.account) if errand.moves else None
        job = self.jobs[number] = Job(row, errand, errand.calls, self._line(row), route)
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
        self.shifts.enter(job)
        self.moments.wake()

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
            self._shift()
            chosen = self.lineup.take(CLAIM_LIMIT)
            for row in chosen:
                self._begin(row)
            if len(chosen) < CLAIM_LIMIT:
                return

    def _shift(self) -> None:
        """Let jobs go to another account of their route, where their own is closed. Only what has changed is asked."""
        routes, self.shifts.stale = self.shifts.stale, {}
        due = shifting.before_start(routes.values(), self.shifts)
        if due is not None:
            self.moments.at(due, self._shifts_again, tuple(routes.values()))

    def _shifts_again(self, routes: Sequence[Route]) -> None:
        self.shifts.stale |= {one.name: one for one in routes}
        self.moments.wake()

    def _move(self, job: Job, move: Move, turn: Turn) -> None:
        """A job goes on at another account."""
        self.shifts.leave(job)
        if job.waiting.leave(job.row):
            assert job.waiting.line is not None, "it had a head"
            (self.lineup.put if job.waiting.stands else self.lineup.drop)(job.waiting.line)
        self._turn(job, move, turn)
        job.waiting = self._line(job.row)
        if job.row.not_before is None:
            self._enter(job)
        else:
            self.shifts.enter(job)

    def _turn(self, job: Job, move: Move, turn: Turn) -> None:
        """Write down that it does."""
        to, now = move.to.target, self.world.now
        job.moves.append(rerouting(job, move, turn, now))
        job.limited_since = None
        self.moved += len(job.moves) == 1
        at_once = job.row.not_before is not None
        body = log.Rerouted("a route", to.agent, to.model, to.account, str(job.row.target), at_once, turn.trouble.cause)
        job.row = self._after(job.row, job.row.id, body)

    def _begin(self, row: JobRow) -> None:
        now, job = self.world.now, self.jobs[row.id]
        self.shifts.leave(job)
        job.worked_on = row.target
        job.row = self._after(row, row.id, log.Claimed(number=row.attempts + 1))
        self.tally.count(Load.CLAIMS, now)
        if job.row.attempts == 1:
            self.tally.waits[job.errand.kind].append(now - job.errand.comes)
        account = self.accounts[row.account or ""]
        attempt = Attempt(job, account, self.places.take(), job.waiting.lane, now)
        self.attempts[row.id] = attempt
        account.running[attempt] = None
        startup = job.errand.startup
        self._later(attempt, now + (self.startup if startup is None else startup))

    # Attempts

    def _later(self, attempt: Attempt, when: int) -> None:
        attempt.next_at = when
        self.moments.at(when, self._goes_on, attempt)

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
        self.weather.hear(account)
        lasts = attempt.job.left * self.call_ms
        attempt.since, attempt.ends = now, now + lasts
        if self.dice.random() < self.scenario.crashes:
            attempt.ends, attempt.failure = now + int(self.dice.random() * lasts), Failure.CRASHED
        account.supply.working += 1
        self._later(attempt, attempt.ends)
        self.weather.plan(account)

    def _refuse(self, attempt: Attempt, answer: Answer) -> None:
        """A call of it is refused, which ends it."""
        self.tally.refused[answer] += 1
        if answer is Answer.OUTAGE:
            self._end(attempt, Failure.OVERLOADED)
            return
        attempt.retry_at = attempt.account.supply.reopens()
        self.weather.hear(attempt.account)
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
        self.weather.plan(account)
        self.moments.wake()

    def _settle(self, attempt: Attempt, failure: Failure | None) -> None:
        """What becomes of its job."""
        now, job = self.world.now, attempt.job
        turn: Turn | None = None

        def turned(how: Failure, until: int | None) -> Verdict | None:
            nonlocal turn
            turn = self.shifts.after_failure(job, how, until)
            return None if turn is None else turn.verdict

        if failure not in LIMITS:
            job.limited_since = None
        elif job.limited_since is None:
            job.limited_since = now
        decided = self.control.settle(attempt, failure, turned)
        self.weather.expect(attempt.account)
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
                return
            if turn is not None and isinstance(turn.verdict, Move):
                self._turn(job, turn.verdict, turn)
                job.waiting = self._line(job.row)
            if job.row.not_before is not None:
                self.moments.at(max(now, job.row.not_before), self._due, job)
                self.shifts.enter(job)
            else:
                self._enter(job)

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
        self.moments.at(self.world.now + lasts, self._finds, host)

    def _finds(self, host: Host) -> None:
        self.places.find(host)
        self._slots(host.slots)

    def _slots(self, by: int) -> None:
        self.world.caps = {**self.world.caps, ALL: self.world.caps[ALL] + by}
        self.lineup.reopen(ALL)
        self.moments.wake()
