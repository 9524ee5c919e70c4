"""A stand-in for an engine, in memory: any number of jobs, scripted events and output, and it can go away."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import msgspec

from engine import events as log
from engine.agents.events import AnyAgentEvent, LogLine
from engine.briefing import Briefing, Context, Piece
from engine.briefing import Part as BriefingPart
from engine.decision import Answered, Card, Choice, Foreseen, Outlook, Reply, Rule, SnoozeCards, Snoozed
from engine.errors import NoEngineError, NotFoundError, RefusedError, UsageError
from engine.events import AnyBody, Cancelled, Event, Held, Released, Retried, Stopping
from engine.model import (
    UNFINISHED,
    ActionResult,
    AgentStatus,
    Attempt,
    Counts,
    Estimate,
    Explanation,
    Grade,
    Job,
    JobDetail,
    JobSpec,
    Order,
    Preview,
    Progress,
    Reason,
    State,
    Status,
    Undone,
    Verb,
)
from engine.model.listing import Sort, Wait
from engine.model.route import Rerouting, RouteChoice, Standing
from engine.model.trend import Trend
from engine.sessions import Session
from tests.console.books import Answering, Books
from tests.console.moment import MINUTE, NOW

_RANK = {State.RUNNING: 0, State.GATING: 0, State.READY: 1, State.BLOCKED: 2}


def make_job(
    id: int,
    state: State = State.READY,
    title: str = "",
    *,
    agent: str = "claude",
    model: str | None = "opus-5",
    minutes: int = 5,
    **rest: object,
) -> Job:
    """A job that began, or ended, some minutes before `NOW`."""
    at = NOW - minutes * MINUTE
    fields: dict[str, Any] = {"project": "/src/core-engine", "priority": 5, "created_at": at}
    if state is not State.READY:
        fields |= {"started_at": at, "attempts": 1}
    if state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        fields["ended_at"] = at
    fields |= rest
    return Job(id=id, state=state, title=title or f"job number {id}", agent=agent, model=model, **fields)


class FakeEngine(Answering):
    """Satisfies `EngineClient`. `jobs_by_id` may be a plain dict, or `lazy` jobs numbered 1 to `total`."""

    def __init__(self, jobs: Iterable[Job] = (), *, lazy: Callable[[int], Job] | None = None, total: int = 0) -> None:
        self.by_id = {job.id: job for job in jobs}
        self.lazy = lazy
        self.total = total
        self.seq = 10
        self.books = Books()
        self.away = ""
        self.held_all: str | None = None
        self.draining = False
        self.theme: str | None = None
        self.keys: dict[str, str] = {}
        self.cards: list[Card] = []
        self.replies: list[tuple[int, Reply]] = []
        self.foresees = False
        self.snoozes: list[SnoozeCards] = []
        self.diffs: dict[int, str] = {}
        self.waiting: dict[int, list[Reason]] = {}
        self.sessions: dict[int, list[Session]] = {}
        self.moves: dict[int, list[Rerouting]] = {}
        self.orders: list[Order] = []
        self.prompts: dict[int, str] = {}
        self.acts: list[tuple[Verb, tuple[int, ...], bool]] = []
        self.stopped: list[bool] = []
        self.rows_asked: list[int] = []
        self.orders_asked: list[str] = []
        self.followed: list[int | None] = []
        self.sorts_asked: list[str] = []
        self.previews: list[Order] = []
        self.preview: Preview | None = None
        self.expected: dict[int, Estimate] = {}
        self.agents_here: list[AgentStatus] = []
        self.of_late = Trend(since=NOW - 3_600_000, step=300_000)
        self.keeps: dict[int, Reason] = {}
        self.targets: list[Standing] = []
        self._logs: dict[int, list[LogLine]] = {}
        self._events: list[Event] = []
        self._followers: set[asyncio.Queue[Event | Progress | None]] = set()
        self._grown = asyncio.Condition()

    async def __aenter__(self) -> FakeEngine:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    # What a test does to it

    def put(self, job: Job) -> None:
        self.by_id[job.id] = job

    def change(self, id: int, **fields: object) -> None:
        self.by_id[id] = msgspec.structs.replace(self.by_id[id], **fields)

    def emit(self, body: AnyBody, job: int | None = None) -> None:
        """Say one event to everyone who follows."""
        self.seq += 1
        self._events.append(Event(seq=self.seq, at=NOW, body=body, job=job))
        self._send(self._events[-1])

    def progress(self, job: int, line: str, context_tokens: int = 0, context_window: int = 0) -> None:
        told = {"context_tokens": context_tokens, "context_window": context_window}
        self._send(Progress(job=job, attempt=1, line=line, at=NOW, **told))

    def _send(self, item: Event | Progress | None) -> None:
        for queue in self._followers:
            queue.put_nowait(item)

    def go_away(self, why: str = "no engine serves this home") -> None:
        self.away = why
        self._send(None)

    def come_back(self) -> None:
        self.away = ""

    async def speak(self, job: int, *events: AnyAgentEvent, stream: str = "stdout") -> None:
        """Add to a job's output."""
        async with self._grown:
            self.write(job, *events, stream=stream)
            self._grown.notify_all()

    def write(self, job: int, *events: AnyAgentEvent, stream: str = "stdout") -> None:
        lines = self._logs.setdefault(job, [])
        for event in events:
            lines.append(LogLine(attempt=1, stream=stream, next=len(lines) + 1, event=event))

    # What the console asks

    def _answer(self) -> None:
        if self.away:
            raise NoEngineError(self.away)

    def _get(self, id: int) -> Job | None:
        if id in self.by_id:
            return self.by_id[id]
        return self.lazy(id) if self.lazy is not None and 1 <= id <= self.total else None

    async def status(self) -> Status:
        self._answer()
        counts = dict.fromkeys((state.value for state in State), 0)
        for job in self.by_id.values():
            counts[job.state] += 1
        if self.lazy is not None:
            counts["ready"] += self.total
        held = sum(1 for job in self.by_id.values() if job.held_by and job.state in UNFINISHED)
        return Status(
            version="0", pid=1, home="/home", started_at=NOW, now=NOW, seq=self.seq, counts=Counts(held=held, **counts),
            cards=len(self.cards),
            slots=8, held_all=self.held_all, draining=self.draining,
            spend_today_micros=sum(job.cost_micros or 0 for job in self.by_id.values()),
            spend_today_grade=Grade.COMPUTED, theme=self.theme, keys=self.keys,
        )  # fmt: skip

    async def order(self, filter: str = "", sort: str = "") -> array[int]:
        self._answer()
        self.orders_asked.append(filter)
        self.sorts_asked.append(sort)
        if self.lazy is not None and not filter:
            return array("q", range(1, self.total + 1))
        match = _matcher(filter)
        jobs = [job for job in self.by_id.values() if match(job)]
        jobs.sort(key=lambda job: (_RANK.get(job.state, 3), job.priority if job.state is State.READY else 0, -job.id))
        if sort:
            by = Sort.parse(sort)
            jobs.sort(key=lambda job: job.cost_micros or 0, reverse=not by.reverse)
        return array("q", [job.id for job in jobs])

    async def rows(self, ids: Sequence[int]) -> list[Job]:
        self._answer()
        self.rows_asked.append(len(ids))
        return [job for id in ids if (job := self._get(id)) is not None]

    async def jobs(self, filter: str = "", limit: int = 50) -> list[Job]:
        self._answer()
        match = _matcher(filter)
        return sorted((job for job in self.by_id.values() if match(job)), key=lambda job: -job.id)[:limit]

    async def job(self, job: int) -> JobDetail:
        self._answer()
        found = self._get(job)
        if found is None:
            raise NotFoundError(f"there is no job {job}")
        attempts = [
            Attempt(
                id=number, job=job, number=number, agent=found.agent, model=found.model, created_at=found.created_at,
                started_at=found.started_at, ended_at=found.ended_at, failure=found.failure, reason=found.reason,
                succeeded=found.state is State.SUCCEEDED if found.ended_at else None,
                workspace=f"/srv/jobs/J{job}", branch=f"headway/J{job}", session="5d1c",
                run_dir=f"runs/{job}/{number}",
            )
            for number in range(1, found.attempts + 1)
        ]  # fmt: skip
        spec = JobSpec(prompt=self.prompts.get(job, f"Do what job {job} says.\nThen stop."), agent=found.agent)
        return JobDetail(
            job=found, spec=spec, attempts=attempts, waiting=self.waiting.get(job, []),
            sessions=self.sessions.get(job, []), moves=self.moves.get(job, []),
        )  # fmt: skip

    async def submit(self, specs: Sequence[JobSpec]) -> list[int]:
        raise UsageError("the console does not submit")

    async def act(
        self,
        verb: Verb,
        jobs: Sequence[int] = (),
        *,
        everything: bool = False,
        dry_run: bool = False,
        fresh: bool = False,
    ) -> ActionResult:
        self._answer()
        self.acts.append((verb, tuple(jobs), dry_run))
        if everything:
            self.held_all = "operator" if verb is Verb.HOLD else None
            return ActionResult(verb=verb, done=[])
        done: list[int] = []
        stopping: list[int] = []
        skipped: dict[str, list[int]] = {}
        for id in jobs:
            why = self._refusal(verb, self._get(id))
            if why:
                skipped.setdefault(why, []).append(id)
            elif verb is Verb.CANCEL and self.by_id[id].state is State.RUNNING:
                stopping.append(id)
            else:
                done.append(id)
        if not dry_run:
            for id in (*done, *stopping):
                self._carry_out(verb, id)
        return ActionResult(verb=verb, done=done, stopping=stopping, skipped=skipped, dry_run=dry_run)

    async def carry_out(self, order: Order) -> ActionResult:
        self._answer()
        if order.dry_run and order.preview:
            self.previews.append(order)
            ended = [
                id
                for id in order.jobs
                if (job := self._get(id)) is not None and job.state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)
            ]
            return ActionResult(
                verb=order.verb, done=[id for id in order.jobs if id not in ended],
                skipped={"already ended": ended} if ended else {}, dry_run=True, preview=self.preview,
            )  # fmt: skip
        self.orders.append(order)
        return ActionResult(verb=order.verb, done=list(order.jobs), dry_run=order.dry_run)

    async def undo(self, action: int | None = None, *, dry_run: bool = False) -> Undone:
        self._answer()
        if not self.orders and not self.acts:
            raise NotFoundError("there is nothing to undo")
        return Undone(action=1, verb="hold", at=NOW, restored=[1])

    async def inbox(self, limit: int | None = None) -> list[Card]:
        self._answer()
        return list(self.cards)

    async def reply(self, card: int, reply: Reply) -> Answered:
        self._answer()
        found = next((one for one in self.cards if one.id == card), None)
        if found is None:
            raise RefusedError(f"card {card} is closed: deny by time-out")
        self.replies.append((card, reply))
        self.close_card(card)
        rule = Rule(tool=found.tool, pattern=reply.pattern or found.subject, project=found.project, id=1)
        done = msgspec.structs.replace(found, answered_at=NOW, choice=reply.choice, reason=reply.reason, by="operator")
        return Answered(card=done, rule=rule if reply.choice is Choice.RULE else None)

    async def outlooks(self, card: int) -> list[Foreseen]:
        self._answer()
        outlook = Outlook(says=["its agent goes on"])
        return [Foreseen(choice=choice, outlook=outlook) for choice in self.cards[0].choices] if self.foresees else []

    async def snooze_cards(self, wanted: SnoozeCards) -> Snoozed:
        self._answer()
        self.snoozes.append(wanted)
        found = [one for one in self.cards if one.id in wanted.cards]
        for card in found:
            self.close_card(card.id)
        return Snoozed(cards=found, until=NOW + 60 * MINUTE)

    def close_card(self, card: int) -> None:
        """A card is answered, by whom ever."""
        (found,) = (one for one in self.cards if one.id == card)
        self.cards.remove(found)
        if found.job in self.by_id:
            self.change(found.job, waiting_on=None)
        self.emit(log.Answered(card=card, choice=Choice.ALLOW, by="operator"), found.job)

    async def explain(self, job: int) -> Explanation:
        self._answer()
        found = self._get(job)
        if found is None:
            raise NotFoundError(f"there is no job {job}")
        return Explanation(job=found, waiting=self.waiting.get(job, []), ahead=None, estimate=None)

    async def waits(self, ids: Sequence[int]) -> list[Wait]:
        self._answer()
        return [Wait(id, self.keeps[id]) for id in ids if id in self.keeps]

    async def estimates(self, ids: Sequence[int]) -> list[Estimate]:
        self._answer()
        return [self.expected[id] for id in ids if id in self.expected]

    async def route_of(self, job: int) -> RouteChoice:
        self._answer()
        return RouteChoice(route=None, target=str(self.by_id[job].target), targets=self.targets)

    def _refusal(self, verb: Verb, job: Job | None) -> str:
        if job is None:
            return "no such job"
        ended = job.state not in UNFINISHED
        match verb:
            case Verb.CANCEL | Verb.HOLD | Verb.RELEASE if ended:
                return "already ended"
            case Verb.HOLD if job.held_by:
                return "already held"
            case Verb.RETRY if not ended:
                return "not ended yet"
            case _:
                return ""

    def _carry_out(self, verb: Verb, id: int) -> None:
        match verb:
            case Verb.HOLD:
                self.change(id, held_by="operator")
                self.emit(Held(by="operator"), id)
            case Verb.RELEASE:
                self.change(id, held_by=None)
                self.emit(Released(by="operator"), id)
            case Verb.RETRY:
                self.change(id, state=State.READY, ended_at=None)
                self.emit(Retried(by="operator"), id)
            case Verb.CANCEL if self.by_id[id].state is State.RUNNING:
                self.change(id, stopping=True)
                self.emit(Stopping(by="operator"), id)
            case Verb.CANCEL:
                self.change(id, state=State.CANCELLED, ended_at=NOW)
                self.emit(Cancelled(by="operator"), id)

    async def follow(self, after: int | None = None) -> AsyncIterator[Event | Progress]:
        self._answer()
        queue: asyncio.Queue[Event | Progress | None] = asyncio.Queue()
        for event in self._events:
            if after is not None and event.seq > after:
                queue.put_nowait(event)
        self._followers.add(queue)
        self.followed.append(after)
        try:
            while (item := await queue.get()) is not None:
                yield item
        finally:
            self._followers.discard(queue)

    @property
    def followers(self) -> int:
        return len(self._followers)

    @property
    def heard(self) -> bool:
        """Everyone who follows has taken all that was said."""
        return all(queue.empty() for queue in self._followers)

    async def log(
        self,
        job: int,
        *,
        attempt: int | None = None,
        after: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogLine]:
        self._answer()
        lines = self._logs.setdefault(job, [])
        at = after if after is not None else max(0, len(lines) - (tail or 0)) if tail else 0
        while True:
            while at < len(lines):
                yield lines[at]
                at += 1
            found = self._get(job)
            if not follow or found is None or found.state is not State.RUNNING:
                return
            async with self._grown:
                while at >= len(lines):
                    await self._grown.wait()

    async def agents(self, name: str | None = None, *, check: bool = False) -> list[AgentStatus]:
        self._answer()
        return self.agents_here

    async def diff(self, job: int, *, attempt: int | None = None) -> str:
        self._answer()
        return self.diffs.get(job, "")

    async def context(self, job: int, *, attempt: int | None = None, ahead: bool = False) -> Briefing:
        self._answer()
        pieces = [Piece(part=BriefingPart.CORE, tokens=120, reason="the operator's notes", text="use pytest")]
        return Briefing(job=job, target="claude", context=Context(budget=2_000, tokens=120, pieces=pieces), attempt=1)

    async def events(self, *, after: int | None = None, limit: int = 50, job: int | None = None) -> list[Event]:
        if job is None:
            return await super().events(after=after, limit=limit)
        self._answer()
        return [event for event in self._events if event.job == job][:limit]

    async def trend(self, hours: int = 1, steps: int = 12) -> Trend:
        self._answer()
        return self.of_late

    async def shutdown(self, *, drain: bool = False) -> None:
        self._answer()
        self.stopped.append(drain)


def _matcher(filter: str) -> Callable[[Job], bool]:
    """A small part of the filter language: `state:a,b` and free words; `bad:` is refused."""
    tests: list[Callable[[Job], bool]] = []
    for word in filter.split():
        name, colon, value = word.partition(":")
        if word == "attempts>0":
            tests.append(lambda job: job.attempts > 0)
            continue
        if colon and name != "state":
            raise UsageError(f"filter: there is no field {name!r}; did you mean 'state'?")
        if colon:
            states = value.split(",")
            tests.append(lambda job, states=states: job.state in states)
        else:
            tests.append(lambda job, word=word: word in job.title)
    return lambda job: all(test(job) for test in tests)
