"""Codex' stream of JSON lines and its rollout, read into events and, at the end, an outcome.

The stream says what happens, the rollout what it means: in the stream a failure is a sentence and nothing else, and the
windows are not in it at all. So what the stream says decides that a run failed, and the rollout's fields why.
"""

from __future__ import annotations

from msgspec import Raw

from engine.agents.base import RESULT_LIMIT, Exit, Outcome
from engine.agents.codex_lines import (
    QUIET_ITEMS,
    QUIET_TYPES,
    TOOL_ITEMS,
    Credits,
    Item,
    Line,
    Payload,
    RateLimits,
    RecordHead,
    Tokens,
    Window,
    class_of,
    used,
)
from engine.agents.events import (
    AnyAgentEvent,
    Compacted,
    Context,
    FileEdit,
    Limit,
    Notice,
    Result,
    Retrying,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from engine.agents.failures import WORDS
from engine.agents.lines import (
    OUTPUT_LIMIT,
    SUMMARY_LIMIT,
    decode,
    millis,
    moment,
    one_line,
    reason,
    shown,
    signal_name,
)
from engine.agents.reading import JsonLines
from engine.agents.tally import Tally, summed
from engine.model import Failure
from engine.money import Entry

_WINDOWS = {300: "five_hour", 10_080: "seven_day"}  #: minutes -> the name that every agent's windows go by
_CLOSED = 100.0  #: per cent
_ACCOUNT = "codex"  #: the name of the limits of the account, beside those of some models


class CodexParser(JsonLines):
    """Reads one `codex exec`: one turn of a thread."""

    def __init__(self, name: str = "codex", *, model: str | None = None, resumed: bool = False) -> None:
        super().__init__(name, resumed=resumed)
        self._model = model
        self._cwd = ""
        self._session: str | None = None
        self._said = ""
        self._done: bool | None = None
        self._words = ""
        self._waiting = False
        """The newest line was an error that it gets over by itself."""
        self._retries = 0
        self._used: Tokens | None = None
        """What this turn used, by the rollout."""
        self._total: Tokens | None = None
        """The sum of the thread by the stream. For the first run of one it is what this turn used."""
        self._tally = Tally()
        self._info: Raw | None = None
        self._limits: dict[tuple[str, str], Window] = {}
        """By the model that it is of, empty for the account, and its name."""
        self._paid = False
        """It is served beyond its windows, for credits."""
        self._context = 0

    @property
    def said_done(self) -> bool:
        return self._done is not None

    def read(self, line: bytes) -> list[AnyAgentEvent] | None:
        said = decode(line, Line)
        if said is None or said.type is None:
            return None
        self._waiting = said.type == "error"
        match said.type:
            case "thread.started":
                self._session = said.thread_id
                return [Started(said.thread_id)]
            case "item.started" | "item.completed" if said.item is not None:
                return self._item(said.item, begins=said.type == "item.started")
            case "error":
                return self._error(said.message or "")
            case "turn.completed":
                self._done = True
                self._total = decode(said.usage, Tokens)
                return [Result(True, self._said)]
            case "turn.failed":
                self._done = False
                self._words = (said.error.message if said.error else None) or self._words
                return [Result(False, self._words)]
            case kind:
                return [] if kind in QUIET_TYPES else None

    def _error(self, words: str) -> list[AnyAgentEvent]:
        """Not the end: it goes on by itself, or `turn.failed` follows. Its words only tell how to show it."""
        self._words = words
        if not words.startswith("Reconnecting"):
            return [Notice(one_line(words, SUMMARY_LIMIT))]
        self._retries += 1
        return [Retrying(self._retries, 0, None, one_line(words, SUMMARY_LIMIT))]

    def _item(self, item: Item, *, begins: bool) -> list[AnyAgentEvent] | None:
        id_ = item.id or ""
        if item.type in TOOL_ITEMS:
            if begins:
                subject = {"command": item.command, "tool": item.tool, "query": item.query}[TOOL_ITEMS[item.type]]
                return [ToolCall(id_, item.type, one_line(subject or "", SUMMARY_LIMIT), self._context)]
            ok = item.exit_code in (0, None) and item.status not in ("failed", "declined")
            return [ToolResult(id_, ok, (item.aggregated_output or "")[:OUTPUT_LIMIT])]
        if item.type in QUIET_ITEMS or begins:
            return self._quiet(item, begins=begins)
        if item.type == "agent_message":
            self._said = item.text or self._said
            return [Text(item.text)] if item.text else []
        if item.type == "reasoning":
            return [Thinking(item.text)] if item.text else []
        return None

    def _quiet(self, item: Item, *, begins: bool) -> list[AnyAgentEvent]:
        """Items that come twice and are told once, and warnings."""
        if item.type == "file_change" and not begins and item.status == "completed":
            return [FileEdit(shown(change.path, self._cwd)) for change in item.changes or [] if change.path]
        return [Notice(one_line(item.message, SUMMARY_LIMIT))] if item.message else []

    def record(self, line: bytes) -> list[AnyAgentEvent]:
        head = decode(line, RecordHead)
        if head is None or head.type not in _RECORDED:
            return []
        payload = decode(head.payload, Payload)
        if payload is None:
            return []
        match head.type:
            case "session_meta":
                self._cwd = payload.cwd or self._cwd
                return [Started(self._session, None, payload.cwd, payload.cli_version)]
            case "turn_context":
                self._cwd, self._model = payload.cwd or self._cwd, payload.model or self._model
            case "token_usage_record":
                self._used = payload.turn_token_usage or self._used
                if payload.response_id and payload.usage is not None:
                    told = used(self._model or "unknown", payload.usage)
                    self._tally.message(payload.response_id, told, at=moment(head.timestamp))
            case "compacted":
                return [Compacted(self._context or None, None, "auto")]
            case "event_msg" if payload.type == "token_count":
                return [*self._weighed(payload), *self._windows(payload.rate_limits)]
            case "event_msg" if payload.type == "task_complete" and payload.error is not None:
                self._info = payload.error.codex_error_info
                return self._limit_reached()
            case _:
                pass
        return []

    def _weighed(self, payload: Payload) -> list[AnyAgentEvent]:
        last = payload.info.last_token_usage if payload.info else None
        if last is None:
            return []
        self._context = last.input_tokens or last.total_tokens
        window = payload.info.model_context_window if payload.info else None
        return [Context(self._context, last.output_tokens, window)] if self._context else []

    def _windows(self, limits: RateLimits | None) -> list[AnyAgentEvent]:
        """An answer without the headers has no windows: then the newest known ones stand."""
        if limits is None:
            return []
        credits = limits.credits or Credits()
        self._paid = bool(credits.has_credits or credits.unlimited)
        model = "" if limits.limit_id in (None, _ACCOUNT) else limits.limit_name or limits.limit_id or ""
        told = [one for one in (limits.primary, limits.secondary) if one is not None and one.used_percent is not None]
        self._limits |= {(model, _name(window)): window for window in told}
        return [self._limit(model, window, rejected=False) for window in told]

    def _limit(self, model: str, window: Window, *, rejected: bool) -> Limit:
        used = min(1.0, max(0.0, (window.used_percent or 0) / 100))
        full = "warning" if self._paid and not rejected else "rejected"
        minutes, later = window.window_minutes or 0, window.resets_in_seconds
        return Limit(
            _name(window),
            full if rejected or used >= 1 else "allowed",
            used,
            millis(window.resets_at),
            round(later * 1_000) if window.resets_at is None and later is not None and 0 <= later < 1e9 else None,
            round(minutes * 60_000) if 0 < minutes < 1e6 else None,
            model,
            "token_count",
        )

    def _limit_reached(self) -> list[AnyAgentEvent]:
        closed = self._closed()
        return [
            self._limit(model, window, rejected=True) for (model, _), window in self._limits.items() if window in closed
        ]

    def _closed(self) -> list[Window]:
        """The windows that are used up; where a limit was reached and none says so, the one that is used most."""
        if self._info is None or class_of(self._info)[0] != "usage_limit_exceeded" or not self._limits:
            return []
        full = [window for window in self._limits.values() if (window.used_percent or 0) >= _CLOSED]
        return full or [max(self._limits.values(), key=lambda window: window.used_percent or 0)]

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        failure, why = self._verdict(end, stderr_tail)
        ends = [millis(window.resets_at) or 0 for window in self._closed()]
        return Outcome(
            succeeded=failure is None,
            failure=failure,
            reason=why,
            result=self._said.strip()[:RESULT_LIMIT] or None,
            usage=summed(self.spent),
            session=self._session,
            retry_at=(max(ends, default=0) or None) if failure is Failure.RATE_LIMITED else None,
            unknown_lines=self.unknown,
        )

    def _verdict(self, end: Exit, stderr_tail: str) -> tuple[Failure | None, str | None]:
        if self._done is None:
            # It sleeps as long as its provider says, or until there is a network, and says nothing meanwhile.
            if self._waiting and end.code > 128:
                return Failure.OVERLOADED, reason(f"{self.name} was still waiting for its provider", self._words)
            return self.cut_short(end, stderr_tail)
        if not self._done:
            failure = class_of(self._info)[1] if self._info is not None else Failure.UNKNOWN
            return failure, reason(f"{self.name} {WORDS.get(failure, 'failed')}", self._words)
        if end.code != 0 and end.code <= 128:
            return Failure.UNKNOWN, reason(f"{self.name} reported success and then exited {end.code}", stderr_tail)
        return None, f"stopped by {signal_name(end.code)} after its result" if end.code else None

    @property
    def spent(self) -> tuple[Entry, ...]:
        """By the rollout, response by response; without it what the stream tells, at the end, of the whole thread."""
        model = self._model or "unknown"
        told = self._used or (None if self.resumed else self._total)
        if told is not None:
            self._tally.total([used(model, told)], again=True)
        entries = self._tally.entries
        if self._total is None or self._session is None or told is not None or self._tally.seen:
            return entries
        return (*entries, Entry(message="/thread", usage=used(model, self._total), of_session=self._session))


_RECORDED = frozenset({"session_meta", "turn_context", "token_usage_record", "compacted", "event_msg"})


def _name(window: Window) -> str:
    minutes = window.window_minutes or 0
    minutes = round(minutes) if 0 < minutes < 1e6 else 0
    return _WINDOWS.get(minutes, f"{minutes}_minutes")
