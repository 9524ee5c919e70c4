"""Reads one attempt's output as it comes: events into progress, limits into the store, and the verdict at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from engine import events as log
from engine.agents import events as said
from engine.agents.base import Outcome, Parser
from engine.agents.readings import reading_of
from engine.clock import now_ms
from engine.hub import Hub
from engine.model import DiffStat, Failure, Grade, Progress, Target, Usage
from engine.runner.limits import Halt
from engine.runner.uses import Uses
from engine.store.sessions import Heard
from engine.tap.reading import Refusal, Seen
from engine.window import Reading

#: So long an agent may wait as its provider told it to; what waits longer is stopped by its stall limit, and parked.
SIT_OUT_SECONDS = 3_600.0
TOLD = "tools"  #: who waits, of a call that an earlier engine took
#: With these an agent tells what something used.
_COUNTING = (said.Context, said.Result)
LINE_LENGTH = 200  #: characters of the line that shows what the agent does


#: What one attempt may begin and never end, so that one that prints without end takes no memory:
TOOLS_KEPT = 1_000  #: calls of tools that are under way,
COMPACTIONS_KEPT = 1_000  #: summaries of its conversation, each of which is written down,
WINDOWS_KEPT = 50  #: and windows of its account: a provider has a handful, and each is a row.


class Watch:
    """The state of following one attempt."""

    def __init__(
        self,
        job: int,
        attempt: int,
        target: Target,
        parser: Parser,
        hub: Hub,
        see_limits: Callable[[list[Reading]], None],
        see_session: Callable[[Heard], None] = lambda heard: None,
        window: int | None = None,
    ) -> None:
        """`window`: what the model's context is known to hold, in tokens."""
        self.counted: Callable[[], None] = lambda: None
        """Called when the agent has told what something used."""
        self.parser = parser
        self.heard = time.monotonic()
        """When the agent last said something, by the monotonic clock."""
        self.agent_version: str | None = None
        self.session: str | None = None
        """As the agent has told it."""
        self._job = job
        self._attempt = attempt
        self._target = target
        self._hub = hub
        self._see_limits = see_limits
        self._quiet = 0.0
        self._see_session = see_session
        self._window = window or 0
        self._told_window = 0
        self._model: str | None = None
        self._turns = 0
        self._compactions: list[said.Compacted] = []
        self._line = ""
        self._told_line = ""
        self._waits: set[str] = set()
        self._context = self._output = self._calls = 0
        self._cost: tuple[int | None, Grade] = (None, Grade.UNKNOWN)
        self._tools: set[str] = set()
        self._windows: set[str] = set()
        """Names of the windows that it told of."""
        self.paused = asyncio.Event()
        """None of its tools is at work: it can be ended without cutting one short."""
        self.paused.set()
        self._worked = False
        self._at = 0
        """When it moved on, milliseconds UTC."""
        self._closed = False
        self._said_done = asyncio.Event()
        self._is_new: Callable[[], bool] = lambda: True
        self.halt = Halt()
        self.refusal: Refusal | None = None
        """The provider's newest answer, where the tap saw it and it was one."""
        self.uses = Uses()
        self.news = asyncio.Event()
        """Something was read that may change what the agent asks."""

    def adopt(self, quiet: float, is_new: Callable[[], bool]) -> None:
        """The agent had been silent for so many seconds; what is read tells nothing of that before `is_new`."""
        self.heard = time.monotonic() - quiet
        self._quiet = quiet
        self._is_new = is_new

    def wait(self, *, open: bool, who: str = "output") -> None:
        """The agent waits for the operator, or does not any more. `who` of it does: its output, or a call of a tool."""
        if open:
            self._waits.add(who)
            self.halt.begin(time.monotonic())
            return
        self._waits.discard(who)
        if not self._waits and self.halt.end(time.monotonic()):
            self.heard = time.monotonic()

    def reported(self, line: str) -> None:
        """The agent has said how far it is: that stands before what it does."""
        self._told_line = line
        self._report()

    def sink(self, lines: list[bytes]) -> None:
        """Take whole lines of standard output."""
        events = [event for line in lines for event in self.parser.line(line)]
        self._take_all(events)
        if (tell := self._hub.on_tool) is not None and self._is_new():
            for event in events:
                if isinstance(event, said.ToolCall | said.ToolResult):
                    tell(self._attempt, event)
        if events and self._is_new():
            self.heard = max(self.heard, time.monotonic())  # a refusal that it sits out is told ahead
        if self.parser.said_done:
            self._said_done.set()
        else:
            self._said_done.clear()
        self.news.set()
        self._report()

    def recorded(self, lines: list[bytes]) -> None:
        """Take whole lines of the agent's own record of its session. They are no sign of life: it may be behind."""
        self._take_all([event for line in lines for event in self.parser.record(line)])

    def tapped(self, host: str, seen: Seen) -> None:
        """Take what the tap saw of an answer. While the agent sits a refusal out, its silence is no stall."""
        if seen.limits:
            target, now = self._target, now_ms()
            self._see_limits([reading_of(one, target.agent, now, target.model) for one in seen.limits])
        if self.refusal is not None and seen.refusal is None:
            self.heard = time.monotonic()
        self.refusal = seen.refusal
        if seen.refusal is not None:
            now, until = now_ms(), seen.refusal.retry_at
            wait = min(max(0.0, (until - now) / 1000), SIT_OUT_SECONDS) if until is not None else 0.0
            self.heard = max(self.heard, time.monotonic() + wait)
            self._line = seen.refusal.line(host, now)
            self._report()

    def paid(self, usage: tuple[Usage, ...]) -> None:
        """The ledger holds so much of this attempt now."""
        self._cost = log.total_cost(usage)
        self._report()

    def _take_all(self, events: list[said.AnyAgentEvent]) -> None:
        before = (self.session, len(self._compactions), self._told_window)
        limits: list[said.Limit] = []
        counted = False
        for event in events:
            self._take(event)
            if isinstance(event, said.Limit):
                if event.window in self._windows or len(self._windows) < WINDOWS_KEPT:
                    self._windows.add(event.window)
                    limits.append(event)
            elif isinstance(event, _COUNTING):
                counted = True
        if limits:
            # What an engine before this one has let lie was said when the agent last said something, or before.
            at = now_ms() - (0 if self._is_new() else round(self._quiet * 1_000))
            self._see_limits([reading_of(one, self._target.agent, at, self._target.model) for one in limits])
        if self._tools:
            self.paused.clear()
        else:
            self.paused.set()
        if counted:
            self.counted()
        if before != (self.session, len(self._compactions), self._told_window):
            self._see_session(self.told)

    def _take(self, event: said.AnyAgentEvent) -> None:
        self.uses.take(event)
        match event:  # the most frequent first
            case said.Text(text=text) | said.Output(text=text):
                self._line = _one_line(text) or self._line
            case said.ToolCall(id=call, name=name, summary=summary, context_tokens=context):
                if len(self._tools) < TOOLS_KEPT:
                    self._tools.add(call)
                self._line = f"{name} {_one_line(summary)}"
                self._calls += 1
                self._context = context or self._context
            case said.ToolResult(id=call, ok=ok):
                self._tools.discard(call)
                self._worked = self._worked or ok
            case said.Context(context_tokens=context, output_tokens=output, window=window):
                self._turns += 1
                self._know_window(window)
                self._context = context or self._context
                self._output = max(self._output, output)
            case said.FileEdit():
                self._worked = True
            case said.Started(session=session, agent_version=version, model=model):
                self.session = session or self.session
                self.agent_version = version or self.agent_version
                self._model = model or self._model
            case said.Ask(tool=tool, summary=summary):
                self._line = f"asks: {tool} {_one_line(summary)}"
            case said.Retrying(error=error, attempt=attempt, delay_ms=delay) if self.refusal is None:
                self._line = f"{error}: try {attempt + 1} in {delay / 1000:.0f} s"
            case said.Compacted(after_tokens=after):
                if len(self._compactions) < COMPACTIONS_KEPT:
                    self._compactions.append(event)
                self._context = after or self._context
                self._line = "compacted its conversation"
            case said.Result(window=window):
                self._know_window(window)
            case _:
                pass

    def _know_window(self, tokens: int | None) -> None:
        if tokens:
            self._window = self._told_window = tokens

    @property
    def told(self) -> Heard:
        """What the output has told of the agent's session so far."""
        return Heard(
            session=self.session,
            version=self.agent_version,
            model=self._model,
            turns=self._turns,
            context_tokens=self._context,
            context_window=self._told_window,
            compactions=tuple(self._compactions),
        )

    def _report(self) -> None:
        """Tell the hub that there is news. What it is, is put together once somebody asks."""
        if not self._closed:
            self._at = now_ms()
            self._hub.report(self._attempt, self._progress)

    def _progress(self) -> Progress:
        return Progress(
            job=self._job,
            attempt=self._attempt,
            line=" · ".join(filter(None, (self._told_line, self._line))),
            context_tokens=self._context,
            context_window=self._window,
            output_tokens=self._output,
            tool_calls=self._calls,
            cost_micros=self._cost[0],
            cost_grade=self._cost[1],
            at=self._at,
        )

    async def overdue(self, linger: float) -> None:
        """Return when the agent has said that it is done and has lived on for so many seconds."""
        while True:
            await self._said_done.wait()
            await asyncio.sleep(linger)
            if self._said_done.is_set():
                return

    def close(self) -> None:
        """No report after this."""
        self._closed = True

    def judged(self, outcome: Outcome, diff: DiffStat | None) -> Outcome:
        """The adapter's verdict against what is there: a run that was denied its tools and changed nothing failed."""
        if not outcome.succeeded or not outcome.denied:
            return outcome
        counts = (f"{name} x{outcome.denied.count(name)}" for name in dict.fromkeys(outcome.denied))
        tools = _one_line(", ".join(counts))
        nothing = diff.files == 0 if diff is not None and diff.whole else not self._worked
        if nothing:
            reason = f"the agent was denied {tools} and changed nothing; allow them in headway.yaml (allowed_tools)"
            return replace(outcome, succeeded=False, failure=Failure.BAD_OUTPUT, reason=reason)
        return replace(outcome, reason=f"done, but it was denied {tools}")


def _one_line(text: str) -> str:
    return text.strip().split("\n", 1)[0][:LINE_LENGTH]
