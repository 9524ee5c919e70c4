"""Two ways in which a day is often driven instead: by retries with backoff, and by silent fallback.

Both are given more than such loops mostly have: slots and priorities as the engine has them, no slot held while they
wait, and the first one goes on in the agent's session.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from engine.agents.base import Exit, Outcome
from engine.agents.registry import agents as all_agents
from engine.drill.book import Book, Trial
from engine.drill.provider import Provider
from engine.drill.stage import Stage
from engine.model import LIMITS
from engine.rehearsal.day import Errand, Plan
from engine.units import milliseconds

#: Temporal's default policy is 1 s, doubled up to 100 s, and Claude Code tries a call ten times: so does this.
FIRST_MS, LONGEST_MS, TRIES = 1_000, 100_000, 10


@dataclass(slots=True)
class _Job:
    errand: Errand
    account: str
    tries: int = 0
    session: str | None = None
    refused_by: set[str] = field(default_factory=set)
    """Accounts that have refused it since it last waited."""


class Naive:
    """One day of a loop that knows nothing but that an attempt has failed."""

    def __init__(self, plan: Plan, home: Path, *, falls_back: bool) -> None:
        self.plan = plan
        self.falls_back = falls_back
        self.now = plan.day.zero
        self.book = Book()
        self.provider = Provider(plan)
        self.stage = Stage(home / "sessions", lambda: self.now, plan.day.tokens)
        self.agent = all_agents()["rehearsal"]
        self.dice = random.Random(plan.seed)
        self.running: dict[str, int] = defaultdict(int)
        self.ready: list[tuple[int, int, _Job]] = []
        """Priority, number, job."""
        self.heap: list[tuple[int, int, _Job, Trial | None]] = []
        self.numbers = 0

    def play(self) -> Book:
        for errand in self.plan.errands:
            self._at(errand.comes, _Job(errand, errand.account))
        end = self.plan.day.zero + milliseconds(self.plan.day.lost)
        while self.heap and self.heap[0][0] <= end:
            self.now = self.heap[0][0]
            while self.heap and self.heap[0][0] <= self.now:
                _, _, job, trial = heapq.heappop(self.heap)
                if trial is None:
                    heapq.heappush(self.ready, (job.errand.priority, job.errand.number, job))
                else:
                    self._step(job, trial)
            self._start()
        return self.book

    def _at(self, when: int, job: _Job, trial: Trial | None = None) -> None:
        self.numbers += 1
        heapq.heappush(self.heap, (when, self.numbers, job, trial))

    def _start(self) -> None:
        """Give free slots to what is ready, best first."""
        left = []
        while self.ready and sum(self.running.values()) < self.plan.day.slots:
            one = heapq.heappop(self.ready)
            if self.running[one[2].account] < self.plan.accounts[one[2].account].slots:
                self._begin(one[2])
            else:
                left.append(one)
        for one in left:
            heapq.heappush(self.ready, one)

    def _begin(self, job: _Job) -> None:
        account = self.plan.accounts[job.account]
        name = job.session or str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        play = self.stage.attempt(account, job.errand.number, name, resumed=job.session is not None)
        job.tries += 1
        self.running[job.account] += 1
        tried = self.book.begin(job.errand, job.account, self.now)
        self._at(self.now, job, Trial(self.book, self.provider, play, tried, first=job.tries == 1))

    def _step(self, job: _Job, trial: Trial) -> None:
        following = trial.step(self.now)
        if following is not None:
            self._at(following, job, trial)
            return
        self.running[trial.tried.account] -= 1
        outcome = self._read(trial)
        number = job.errand.number
        if outcome.succeeded:
            self.book.ends[number] = self.now
        elif job.tries >= TRIES:
            self.book.failed[number] = self.now
        else:
            job.session = trial.play.session
            self._again(job, limited=outcome.failure in LIMITS)

    def _read(self, trial: Trial) -> Outcome:
        """What the agent's own adapter makes of the attempt."""
        account = self.plan.accounts[trial.tried.account]
        parser = self.agent.parser(model=f"{account.format}/day", resumed=trial.play.resumed)
        for line in trial.play.lines():
            parser.line(line)
        assert trial.play.code is not None, "it has ended"
        return parser.outcome(Exit(trial.play.code), "")

    def _again(self, job: _Job, *, limited: bool) -> None:
        if limited and self.falls_back:
            job.refused_by.add(job.account)
            others = [name for name in self.plan.accounts if name not in job.refused_by]
            if others:
                # A session stays where its account keeps it: there it begins from the start.
                job.account, job.session = others[0], None
                self._at(self.now, job)
                return
            job.refused_by.clear()
            job.account, job.session = job.errand.account, None
        delay = min(LONGEST_MS, FIRST_MS << (job.tries - 1))
        self._at(self.now + delay, job)
