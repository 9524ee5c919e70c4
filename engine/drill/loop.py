"""Other ways to drive a day: by retries with backoff, by silent fallback, and by one who knows the weather beforehand.

The first two are given more than such loops mostly have: slots, priorities and ageing as the engine has them, no slot
held while they wait, and the first one goes on in the agent's session. The last is what nobody can have: it asks only
when it will be served. It shows what of the waiting is the weather's, and what the dealing with it.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from engine.agents.base import Exit, Outcome
from engine.agents.registry import agents as all_agents
from engine.drill.book import Book, Trial
from engine.drill.ours import model_of
from engine.drill.provider import Provider
from engine.drill.stage import KILLED, Stage
from engine.model import LIMITS
from engine.rehearsal.day import Errand, Plan
from engine.units import milliseconds

#: Temporal's default policy is 1 s, doubled up to 100 s, and Claude Code tries a call ten times: so does this.
FIRST_MS, LONGEST_MS, TRIES = 1_000, 100_000, 10
LOOK_MS = 10_000  #: so often the one who knows looks whether it would be served
HOUR_MS = 3_600_000


@dataclass(slots=True)
class _Job:
    errand: Errand
    account: str
    tries: int = 0
    session: str | None = None
    since: int = 0
    """Since when it waits, as the engine reckons it."""
    crashed: bool = False
    refused_by: set[str] = field(default_factory=set)
    """Accounts that have refused it since it last waited."""


_Lane = tuple[str, str, int]  #: account, kind, priority


class Way(StrEnum):
    """What is done about a refusal."""

    RETRY = "retry"
    FALLBACK = "fallback"
    ORACLE = "oracle"
    """There is none."""


class Loop:
    """One day of a loop that knows nothing but that an attempt has failed; or everything."""

    def __init__(self, plan: Plan, home: Path, way: Way) -> None:
        self.plan = plan
        self.way = way
        self.now = plan.day.zero
        self.book = Book()
        self.provider = Provider(plan)
        self.stage = Stage(home / "sessions", lambda: self.now, plan.day.tokens)
        self.agent = all_agents()["rehearsal"]
        self.dice = random.Random(plan.seed)
        self.running: dict[str, int] = defaultdict(int)
        self.ready: dict[_Lane, list[tuple[int, _Job]]] = defaultdict(list)
        """Heaps, by number."""
        self.look_at = 0
        self.heap: list[tuple[int, int, _Job | None, Trial | None]] = []
        self.numbers = 0

    def play(self) -> Book:
        for errand in self.plan.errands:
            self._at(errand.comes, _Job(errand, errand.account, since=errand.comes))
        end = self.plan.day.zero + milliseconds(self.plan.day.lost)
        while self.heap and self.heap[0][0] <= end:
            self.now = self.heap[0][0]
            while self.heap and self.heap[0][0] <= self.now:
                _, _, job, trial = heapq.heappop(self.heap)
                if job is None:
                    continue
                if trial is None:
                    lane = job.account, job.errand.kind, job.errand.priority
                    heapq.heappush(self.ready[lane], (job.errand.number, job))
                else:
                    self._step(job, trial)
            self._start()
        return self.book

    def _at(self, when: int, job: _Job | None, trial: Trial | None = None) -> None:
        self.numbers += 1
        heapq.heappush(self.heap, (when, self.numbers, job, trial))

    def _start(self) -> None:
        """Give free slots to what is ready, best first."""
        while sum(self.running.values()) < self.plan.day.slots:
            lanes = [lane for lane, waiting in self.ready.items() if waiting and self._open(lane)]
            if not lanes:
                break
            _, job = heapq.heappop(self.ready[min(lanes, key=self._key)])
            self._begin(job)
        if self.way is Way.ORACLE and any(self.ready.values()) and self.look_at <= self.now:
            self.look_at = self.now + LOOK_MS
            self._at(self.look_at, None)

    def _open(self, lane: _Lane) -> bool:
        account = lane[0]
        if self.running[account] >= self.plan.accounts[account].slots:
            return False
        return self.way is not Way.ORACLE or self.provider.serves(account, self.now)

    def _key(self, lane: _Lane) -> tuple[int, int]:
        """The engine's order within a project: of each lane the first that came, and of these the one whose priority is
        best, where it rises with each hour of waiting.
        """
        number, job = self.ready[lane][0]
        return max(0, lane[2] - max(0, self.now - job.since) // HOUR_MS), number

    def _begin(self, job: _Job) -> None:
        account = self.plan.accounts[job.account]
        name = job.session or str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        play = self.stage.attempt(account, job.errand.number, name, resumed=job.session is not None)
        job.tries += 1
        self.running[job.account] += 1
        tried = self.book.begin(job.errand, job.account, self.now)
        job.since = self.now
        knows = self.way is Way.ORACLE
        trial = Trial(self.book, self.provider, play, tried, first=not job.crashed, knows=knows)
        self._at(self.now, job, trial)

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
        elif job.tries >= TRIES and self.way is not Way.ORACLE:
            self.book.failed[number] = self.now
        else:
            job.session = trial.play.session
            job.crashed = job.crashed or trial.play.code == KILLED
            self._again(job, limited=outcome.failure in LIMITS)

    def _read(self, trial: Trial) -> Outcome:
        """What the agent's own adapter makes of the attempt."""
        account = self.plan.accounts[trial.tried.account]
        parser = self.agent.parser(model=model_of(account), resumed=trial.play.resumed)
        for line in trial.play.lines():
            parser.line(line)
        assert trial.play.code is not None, "it has ended"
        return parser.outcome(Exit(trial.play.code), "")

    def _again(self, job: _Job, *, limited: bool) -> None:
        if self.way is Way.ORACLE:
            self._at(self.now, job)
            return
        if limited and self.way is Way.FALLBACK:
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
