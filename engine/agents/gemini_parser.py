"""Gemini CLI's stream of JSON lines, read into events and, at the end, an outcome."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from engine.agents.base import RESULT_LIMIT, Exit, Outcome
from engine.agents.events import (
    AnyAgentEvent,
    Context,
    FileEdit,
    Notice,
    Permission,
    Result,
    Started,
    Text,
    ToolCall,
    ToolResult,
)
from engine.agents.failures import WORDS
from engine.agents.gemini_lines import DENIED, EDITS, EXITS, Line, RecordLine, Stats, answered, class_of, used
from engine.agents.lines import (
    OUTPUT_LIMIT,
    SUMMARY_LIMIT,
    decode,
    moment,
    one_line,
    reason,
    refused,
    signal_name,
    summary,
)
from engine.agents.reading import JsonLines
from engine.agents.tally import Tally
from engine.model import Failure, Usage
from engine.money import Entry

CALLS_KEPT = 100  #: tool calls without a result whose arguments are remembered
DENIALS_KEPT = 100


class GeminiParser(JsonLines):
    """Reads one run of gemini: one prompt, from `init` to `result`."""

    def __init__(self, name: str = "gemini", *, resumed: bool = False) -> None:
        super().__init__(name, resumed=resumed)
        self._session: str | None = None
        self._said = ""
        self._calls: dict[str, tuple[str, Raw]] = {}
        self._denied: list[str] = []
        self._broken_off: str | None = None
        """What it said of an end before the model's own: nothing came after it."""
        self._result: Line | None = None
        self._usage: tuple[Usage, ...] = ()
        self._tally = Tally()

    @property
    def said_done(self) -> bool:
        return self._result is not None

    @property
    def spent(self) -> tuple[Entry, ...]:
        """By its record of the chat, answer by answer, and at the end by the sums of the run."""
        return self._tally.entries

    def freshly_spent(self) -> Sequence[Entry]:
        return self._tally.fresh()

    def record(self, line: bytes) -> list[AnyAgentEvent]:
        told = decode(line, RecordLine)
        usage = answered(told) if told is not None else None
        if told is None or told.id is None or usage is None:
            return []
        self._tally.message(told.id, usage, at=moment(told.timestamp))
        context = usage.input_tokens + usage.cache_read_tokens
        return [Context(context, usage.output_tokens)] if context else []

    def read(self, line: bytes) -> list[AnyAgentEvent] | None:
        said = decode(line, Line)
        if said is None:
            return None
        if said.type in ("message", "tool_use", "tool_result"):
            self._broken_off = None
        match said.type:
            case "init":
                self._session, self._result = said.session_id or self._session, None
                return [Started(said.session_id, said.model)]
            case "message":
                return self._message(said)
            case "tool_use":
                return self._call(said)
            case "tool_result":
                return self._called(said)
            case "error":
                self._broken_off = one_line(said.message or said.severity or "an error", SUMMARY_LIMIT)
                return [Notice(self._broken_off)]
            case "result":
                return self._end(said)
            case _:
                return None

    def _message(self, said: Line) -> list[AnyAgentEvent]:
        """Answers come in pieces; the last answer is what came since the last tool call."""
        if said.role != "assistant" or not said.content:
            return []
        self._said = (self._said + said.content)[:RESULT_LIMIT]
        return [Text(said.content)]

    def _call(self, said: Line) -> list[AnyAgentEvent]:
        self._said = ""
        name, id_ = said.tool_name or "?", said.tool_id or ""
        if len(self._calls) < CALLS_KEPT:
            self._calls[id_] = name, said.parameters
        return [ToolCall(id_, name, summary(said.parameters))]

    def _called(self, said: Line) -> list[AnyAgentEvent]:
        name, given = self._calls.pop(said.tool_id or "", ("?", Raw(b"null")))
        ok = said.status == "success"
        events: list[AnyAgentEvent] = []
        if not ok and said.error is not None and said.error.type in DENIED:
            events.append(Permission(name, one_line(said.error.message or "", SUMMARY_LIMIT)))
            if len(self._denied) < DENIALS_KEPT:
                self._denied.append(name)
        events.append(ToolResult(said.tool_id or "", ok, (said.output or "")[:OUTPUT_LIMIT]))
        if ok and name in EDITS:
            events.append(_edit(name, given))
        return events

    def _end(self, said: Line) -> list[AnyAgentEvent]:
        self._result = said
        stats = decode(said.stats, Stats) or Stats()
        self._usage = tuple(used(model, told) for model, told in stats.models.items() if told.total_tokens)
        self._tally.total(self._usage, again=True)
        ok = said.status == "success" and self._broken_off is None
        words = self._said if said.status == "success" else (said.error.message if said.error else None) or ""
        return [Result(ok, self._broken_off or words, self._usage, tuple(self._denied))]

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        failure, why = self._verdict(end, stderr_tail)
        return Outcome(
            succeeded=failure is None,
            failure=failure,
            reason=why,
            result=self._said.strip()[:RESULT_LIMIT] or None,
            usage=self._tally.usage,
            session=self._session,
            denied=tuple(self._denied),
            unknown_lines=self.unknown,
        )

    def _verdict(self, end: Exit, stderr_tail: str) -> tuple[Failure | None, str | None]:
        result = self._result
        if result is None:
            return self.cut_short(end, stderr_tail)
        if result.status != "success":
            error = result.error
            failure = class_of(error.type if error else None, end.code)
            words = (error.message if error else None) or ""
            return failure, reason(f"{self.name} {WORDS.get(failure, 'failed')}", words)
        if self._broken_off is not None:
            # It reports success, and exits 0, where it stopped a model that went round in circles.
            return Failure.BAD_OUTPUT, reason(f"{self.name} broke off", self._broken_off)
        if end.code != 0 and end.code <= 128:
            return Failure.UNKNOWN, reason(f"{self.name} reported success and then exited {end.code}", stderr_tail)
        if self._denied:
            return None, refused(self._denied)
        return None, f"stopped by {signal_name(end.code)} after its result" if end.code else None

    def cut_short(self, end: Exit, stderr_tail: str) -> tuple[Failure, str]:
        if end.code == 0 and self.understood:
            # It meets SIGTERM by an exit of 0 without a result: that is no success.
            return Failure.CRASHED, f"{self.name} exited 0 without its result: it was interrupted"
        if end.code in EXITS:
            failure = EXITS[end.code]
            return failure, reason(f"{self.name} {WORDS.get(failure, 'failed')}", stderr_tail, last=True)
        return super().cut_short(end, stderr_tail)


def _edit(name: str, given: Raw) -> FileEdit:
    values = decode(given, dict[str, object]) or {}
    before, after = EDITS[name]
    return FileEdit(str(values.get("file_path") or "?"), _lines(values, after), _lines(values, before))


def _lines(values: dict[str, object], key: str | None) -> int:
    text = values.get(key) if key is not None else None
    return len(text.splitlines()) if isinstance(text, str) else 0
