"""What a test was told: the books that an engine's own are held against."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from engine import events as log
from engine.events import Event
from engine.model import Answer, Wanted
from engine.server.client import Client

ENDS = (log.Succeeded, log.Failed, log.Cancelled)
#: The operator lets a job run once more, or takes back what ended it.
CHANCES = (log.Retried, log.Released, log.Restored)


@dataclass(slots=True)
class Told:
    """A job, as the event stream has told of it."""

    title: str
    key: str | None
    ended: bool = False
    running: bool = False
    stopping: bool = False
    chances: int = 0


@dataclass(slots=True)
class Sent:
    """A submission, and its answer once there is one."""

    wanted: Wanted
    answer: Answer | None = None


@dataclass(slots=True)
class Ledger:
    """Everything that was sent, answered and shown, over all engines."""

    sent: list[Sent] = field(default_factory=list)
    events: dict[int, Event] = field(default_factory=dict)
    jobs: dict[int, Told] = field(default_factory=dict)
    actions: set[int] = field(default_factory=set)
    undone: set[int] = field(default_factory=set)
    markers: set[str] = field(default_factory=set)
    """Of attempts, as far as they were seen."""
    seq: int = 0
    pruned: int = 0
    edited: set[str] = field(default_factory=set)
    """Titles of jobs that may ask for something else by now."""
    count: Counter[str] = field(default_factory=Counter)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def acknowledged(self) -> set[int]:
        """Jobs that were answered with an id."""
        answers = [sent.answer for sent in self.sent if sent.answer is not None]
        return {job for answer in answers for job in (*answer.ids, answer.follow_up) if job is not None}

    @property
    def unanswered(self) -> list[Sent]:
        """Submissions with a token whose answer was lost: who sends such a one again loses and doubles nothing."""
        return [sent for sent in self.sent if sent.answer is None and sent.wanted.token is not None]

    @property
    def unfinished(self) -> list[int]:
        return [job for job, told in self.jobs.items() if not told.ended]

    async def follow(self, client: Client) -> None:
        """Read the log from where the engine before left off, as long as this one lives."""
        async with aclosing(client.follow(self.seq)) as happenings:
            async for happening in happenings:
                if isinstance(happening, Event):
                    self.hear(happening)

    async def until(self, check: Callable[[], bool]) -> None:
        """Return when something holds; it is looked at after each event."""
        while not check():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def hear(self, event: Event) -> None:
        """Take one event, which has to be possible after those before it."""
        assert event.seq > self.seq, f"{event} came after {self.seq}"
        self.seq = event.seq
        self.events[event.seq] = event
        body = event.body
        self.count[f"event {type(body).__struct_config__.tag}"] += 1
        if isinstance(body, log.Pruned):
            self.pruned += body.jobs
        if event.job is not None:
            self._of_job(event.job, event)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _of_job(self, job: int, event: Event) -> None:
        body = event.body
        if isinstance(body, log.Submitted):
            assert job not in self.jobs, f"job {job} was submitted twice"
            self.jobs[job] = Told(body.title, body.spec.key)
            return
        told = self.jobs[job]
        if isinstance(body, ENDS):
            assert not told.ended, f"job {job} ended twice: {event}"
            told.ended, told.stopping, told.running = True, False, False
        elif isinstance(body, log.Stopping):
            told.stopping = True
        elif isinstance(body, log.Claimed | log.Requeued):
            assert not told.ended, f"job {job} had ended: {event}"
            assert not told.stopping, f"job {job} was cancelled, and runs again: {event}"
            told.running = isinstance(body, log.Claimed)
        elif isinstance(body, log.Retried):
            told.ended = False
        elif isinstance(body, log.Restored):
            told.ended = body.to.ended_at is not None
        told.chances += isinstance(body, CHANCES)
