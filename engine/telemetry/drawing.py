"""An end in the log -> the spans and figures that tell of it. Pure.

A job is a trace; below it its attempts, below each the run of its agent, below that the calls of its tools. Names are
those of OpenTelemetry's conventions for generative AI where these have one, else they begin with `headway.`; all of
theirs are still in development (v0.1.0 of https://github.com/open-telemetry/semantic-conventions-genai). No prompt, no
answer and no argument of a tool is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine import events as log
from engine.model import Failure, Target, Usage
from engine.spend.prices import provider_of
from engine.store.rows import AttemptRow
from engine.store.traces import End
from engine.telemetry.calls import Call
from engine.telemetry.span import Attributes, Figure, Name, Names, Span, Value

REASON_LENGTH = 200  #: characters of why something failed
#: As the conventions name who serves a model, where our table of prices has another word.
_PROVIDERS = {"google": "gcp.gemini", "mistral": "mistral_ai", "x-ai": "x_ai", "xai": "x_ai"}
_PLAIN = frozenset({"shell"})  #: agents that are none: nothing of generative AI is said of them
_CHATS = frozenset({"llm"})  #: those that are one call of a model


@dataclass(frozen=True, slots=True)
class Drawing:
    spans: list[Span]
    figures: list[Figure]


def draw(end: End, calls: Sequence[Call], names: Names, clean: Callable[[str], str]) -> Drawing:
    """What an end comes to. `clean` takes out of a text what is secret; `calls` are those of its attempt."""
    root = names.job(end.job.id, end.job.created_at, end.life)
    spans: list[Span] = []
    figures: list[Figure] = []
    if end.attempt is not None and end.attempt.ended_at is not None:
        artist = _Artist(end, end.attempt, names, clean)
        spans += artist.spans(root, calls)
        figures += artist.figures(calls)
    if end.job.ended_at is not None and isinstance(end.event.body, log.Succeeded | log.Failed | log.Cancelled):
        spans.append(_job(end, root, names, clean))
        figures.append(Figure("headway.jobs", 1, {"headway.job.state": end.job.state.value}))
    return Drawing(spans, figures)


def _job(end: End, root: Name, names: Names, clean: Callable[[str], str]) -> Span:
    row = end.job
    links: tuple[Name, ...] = ()
    if (above := end.above) is not None:
        trace = names.job(above.job, above.created_at, 0).trace
        links = (names.within(trace, "run", above.attempt),)
    known: dict[str, Value | None] = {
        "headway.job.id": row.id,
        "headway.job.title": clean(row.title),
        "headway.job.state": row.state.value,
        "headway.job.priority": row.priority,
        "headway.job.attempts": row.attempts,
        "headway.job.project": clean(row.project) if row.project else None,
        "headway.job.route": row.route,
        "headway.job.parent": above.job if above is not None else None,
        "headway.cost.usd": row.cost_micros / 1e6 if row.cost_micros is not None else None,
        "headway.cost.grade": row.cost_grade.value,
        "error.type": row.failure.value if isinstance(end.event.body, log.Failed) and row.failure else None,
    }
    failed = isinstance(end.event.body, log.Failed)
    error = clean(row.reason or "")[:REASON_LENGTH] if failed else None
    return Span(root, "job", row.created_at, row.ended_at or end.event.at, None, _said(known), links, error)


class _Artist:
    """Draws one attempt."""

    def __init__(self, end: End, tried: AttemptRow, names: Names, clean: Callable[[str], str]) -> None:
        self._end = end
        self._tried = tried
        self._names = names
        self._clean = clean
        self._ended = tried.ended_at or end.event.at
        self._plain = tried.agent in _PLAIN
        self._chats = tried.agent in _CHATS
        failure = tried.failure or (Failure.UNKNOWN if tried.succeeded is False else None)
        self._error = None if tried.succeeded or failure is None else failure.value
        provider = provider_of(Target(tried.agent, tried.model, tried.account)) or tried.agent
        self._provider = _PROVIDERS.get(provider, provider)

    def spans(self, root: Name, calls: Sequence[Call]) -> list[Span]:
        tried = self._tried
        own = self._names.within(root.trace, "attempt", tried.id)
        run = self._names.within(root.trace, "run", tried.id)
        error = self._clean(tried.reason or self._error or "")[:REASON_LENGTH] if self._error else None
        drawn = [Span(own, "attempt", tried.created_at, self._ended, root, self._attempt(), error=error)]
        if tried.started_at is not None:
            what, told = self._what(), self._run()
            drawn.append(Span(run, what, tried.started_at, self._ended, own, told, error=error, client=self._chats))
            drawn += [self._call(call, number, run) for number, call in enumerate(calls)]
        return drawn

    def _what(self) -> str:
        if self._plain:
            return "run command"
        return f"chat {self._tried.model or ''}".strip() if self._chats else f"invoke_agent {self._tried.agent}"

    def _attempt(self) -> Attributes:
        tried = self._tried
        return _said(
            {
                "headway.job.id": tried.job,
                "headway.attempt.id": tried.id,
                "headway.attempt.number": tried.number,
                "headway.target": str(Target(tried.agent, tried.model, tried.account)),
                "headway.attempt.resumes": tried.resumes is not None,
                "error.type": self._error,
            }
        )

    def _run(self) -> Attributes:
        tried, usage = self._tried, self._end.usage
        if self._plain:
            return _said({"process.exit.code": tried.exit_code, "error.type": self._error})
        costs = [one.cost_micros for one in usage if one.cost_micros is not None]
        return _said(
            {
                **self._about(),
                "gen_ai.conversation.id": self._clean(tried.session) if tried.session else None,
                "gen_ai.response.model": usage[0].model if len(usage) == 1 else None,
                "gen_ai.usage.input_tokens": sum(map(_input, usage)) if usage else None,
                "gen_ai.usage.output_tokens": sum(one.output_tokens for one in usage) if usage else None,
                "gen_ai.usage.cache_read.input_tokens": sum(one.cache_read_tokens for one in usage) or None,
                "gen_ai.usage.cache_creation.input_tokens": sum(one.cache_write_tokens for one in usage) or None,
                "gen_ai.usage.reasoning.output_tokens": sum(one.reasoning_tokens for one in usage) or None,
                "headway.cost.usd": sum(costs) / 1e6 if costs else None,
                "process.exit.code": tried.exit_code,
                "error.type": self._error,
            }
        )

    def _about(self) -> dict[str, Value | None]:
        """What stands on a run and on each of its figures."""
        return {
            "gen_ai.operation.name": "chat" if self._chats else "invoke_agent",
            "gen_ai.provider.name": self._provider,
            "gen_ai.agent.name": None if self._chats else self._tried.agent,
            "gen_ai.request.model": self._tried.model,
        }

    def _call(self, call: Call, number: int, run: Name) -> Span:
        tool = self._clean(call.tool)
        told: dict[str, Value | None] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.call.id": self._clean(call.id)[:100],
            "error.type": _call_error(call),
        }
        ended = call.ended if call.ended is not None else self._ended
        name = self._names.within(run.trace, "tool", self._tried.id, number, call.id)
        error = "the tool failed" if call.ok is False else None
        return Span(name, f"execute_tool {tool}", call.began, max(call.began, ended), run, _said(told), error=error)

    def figures(self, calls: Sequence[Call]) -> list[Figure]:
        tried = self._tried
        drawn = [Figure("headway.attempts", 1, {"headway.agent": tried.agent, "headway.outcome": self._outcome})]
        if self._plain or tried.started_at is None:
            return drawn
        about, failed = _said(self._about()), _said({"error.type": self._error})
        took = max(0, self._ended - tried.started_at) / 1000
        instrument = "gen_ai.client.operation.duration" if self._chats else "gen_ai.invoke_agent.duration"
        drawn.append(Figure(instrument, took, {**about, **failed}))
        if not self._chats:
            drawn.append(Figure("gen_ai.invoke_agent.tool_calls", len(calls), about))
        for call in calls:
            if call.ended is not None:
                told = _said({"gen_ai.tool.name": self._clean(call.tool), "error.type": _call_error(call)})
                drawn.append(Figure("gen_ai.execute_tool.duration", max(0, call.ended - call.began) / 1000, told))
        for one in self._end.usage:
            drawn += _spent(one, {**about, "gen_ai.response.model": one.model})
        return drawn

    @property
    def _outcome(self) -> str:
        return self._error or ("succeeded" if self._tried.succeeded else "stopped")


def _spent(one: Usage, about: Attributes) -> list[Figure]:
    drawn = [
        Figure("gen_ai.client.token.usage", count, {**about, "gen_ai.token.type": kind})
        for kind, count in (("input", _input(one)), ("output", one.output_tokens))
    ]
    if one.cost_micros is not None:
        drawn.append(Figure("headway.cost", one.cost_micros / 1e6, {**about, "headway.cost.grade": one.grade.value}))
    return drawn


def _input(one: Usage) -> int:
    """The conventions count what came from or went to a cache among the input."""
    return one.input_tokens + one.cache_read_tokens + one.cache_write_tokens


def _call_error(call: Call) -> str | None:
    return "_OTHER" if call.ok is False else None


def _said(known: dict[str, Value | None]) -> Attributes:
    return {name: value for name, value in known.items() if value is not None}
