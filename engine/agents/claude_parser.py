"""Claude Code's stream of JSON lines, read into events and, at the end, an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.agents import claude_asking
from engine.agents.asking import Request
from engine.agents.base import RESULT_LIMIT, Exit, Outcome, Parser
from engine.agents.claude_failures import class_of
from engine.agents.claude_lines import (
    QUIET_SUBTYPES,
    QUIET_TYPES,
    SYNTHETIC,
    Block,
    CompactLine,
    CompactMetadata,
    Denial,
    DeniedLine,
    FileChange,
    Head,
    Init,
    QuietLine,
    RateLimitLine,
    RateLimits,
    ResultLine,
    RetryLine,
    Turn,
    Window,
    blocks,
)
from engine.agents.claude_usage import Account
from engine.agents.events import (
    AnyAgentEvent,
    Ask,
    Compacted,
    Context,
    FileEdit,
    Limit,
    Notice,
    Permission,
    Result,
    Retrying,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Unknown,
)
from engine.agents.failures import WORDS
from engine.agents.lines import (
    OUTPUT_LIMIT,
    REASON_LIMIT,
    SUMMARY_LIMIT,
    decode,
    millis,
    newest,
    one_line,
    reason,
    refused,
    shown,
    signal_name,
    summary,
)
from engine.model import Failure
from engine.money import Entry

#: Windows of one family of models; the others are the account's.
_MODELS = frozenset({"seven_day_opus", "seven_day_sonnet", "seven_day_haiku"})
KEPT = 100  #: requests that wait, and results that may come twice
_LIMIT_STATUS = {"allowed": "allowed", "allowed_warning": "warning", "rejected": "rejected"}


class ClaudeParser(Parser):
    """Reads the stream of one claude process, which may hold several turns, each from `init` to `result`."""

    def __init__(self, name: str = "claude") -> None:
        self._name = name
        self._account = Account()
        self._cwd = ""
        self._session: str | None = None
        self._started = False
        self._understood = False
        self._unknown = 0
        self._result: ResultLine | None = None
        self._results: dict[str, None] = {}
        self._done = False
        self._error: str | None = None
        self._said = ""
        self._message: str | None = None
        self._model: str | None = None
        self._context = 0
        self._closed = False
        self._closed_until: int | None = None
        self._asking: dict[str, Request] = {}

    @property
    def asking(self) -> Mapping[str, Request]:
        return self._asking

    @property
    def said_done(self) -> bool:
        return self._done

    @property
    def spent(self) -> tuple[Entry, ...]:
        return self._account.entries

    def freshly_spent(self) -> Sequence[Entry]:
        return self._account.fresh()

    def line(self, line: bytes) -> list[AnyAgentEvent]:
        if not line.strip():
            return []
        events = self._read(line)
        if events is None:
            self._unknown += 1
            return [Unknown(line[: 4 * SUMMARY_LIMIT].decode(errors="replace")[:SUMMARY_LIMIT])]
        self._understood = True
        return events

    def record(self, line: bytes) -> list[AnyAgentEvent]:
        """Only in its own file does claude say what an answer used in the end, and of a killed run nobody else does."""
        told = decode(line, Turn)
        spoken = told.message if told is not None and told.type == "assistant" else None
        if told is not None and spoken is not None and spoken.model != SYNTHETIC:
            self._account.message(spoken, told.timestamp, final=True)
        return []

    def _read(self, line: bytes) -> list[AnyAgentEvent] | None:
        turn = decode(line, Turn)  # most lines are turns: the others are read twice, and these once
        head = turn or decode(line, Head)
        match head.type if head else None:
            case "assistant":
                return self._assistant(turn)
            case "user":
                return self._user(turn)
            case "result":
                return self._end(line)
            case "rate_limit_event":
                limits = decode(line, RateLimitLine)
                return self._limits(limits.rate_limit_info if limits else None)
            case "system":
                return self._system(line, head.subtype if head else None)
            case "control_request":
                return self._ask(line)
            case "control_cancel_request":
                cancelled = decode(line, claude_asking.ControlLine)
                self._asking.pop((cancelled.request_id if cancelled else None) or "", None)
                return []
            case kind:
                return [] if kind in QUIET_TYPES else None

    def _ask(self, line: bytes) -> list[AnyAgentEvent]:
        why = one_line(self._said, REASON_LIMIT)
        request = claude_asking.read(line, summary(claude_asking.given(line), self._cwd), why)
        if request is None:
            return []
        self._asking[request.id] = request
        newest(self._asking, KEPT)
        return [Ask(request.id, request.tool, one_line(request.summary, SUMMARY_LIMIT))]

    def _answered(self, call: str | None) -> None:
        """A tool's result tells that the agent has its answer."""
        for name in [name for name, request in self._asking.items() if request.call and request.call == call]:
            del self._asking[name]

    def _system(self, line: bytes, subtype: str | None) -> list[AnyAgentEvent] | None:
        if subtype == "init":
            return self._init(line)
        if subtype == "api_retry" and (retry := decode(line, RetryLine)):
            delay = round(retry.retry_delay_ms or 0)
            return [Retrying(retry.attempt or 0, delay, retry.error_status, retry.error or "unknown")]
        if subtype == "permission_denied" and (denied := decode(line, DeniedLine)):
            return [Permission(denied.tool_name or "?", denied.message or "")]
        if subtype == "compact_boundary" and (boundary := decode(line, CompactLine)):
            facts = boundary.compact_metadata or CompactMetadata()
            self._context = facts.post_tokens or self._context
            return [Compacted(facts.pre_tokens, facts.post_tokens, facts.trigger or "unknown")]
        if subtype in QUIET_SUBTYPES:
            return _notice(line, subtype)
        return None

    def _init(self, line: bytes) -> list[AnyAgentEvent] | None:
        init = decode(line, Init)
        if init is None:
            return None
        self._started, self._done = True, False
        self._error = None
        self._cwd = init.cwd or ""
        self._session = init.session_id or self._session
        return [Started(init.session_id, init.model, init.cwd, init.claude_code_version)]

    def _assistant(self, turn: Turn | None) -> list[AnyAgentEvent] | None:
        parts = _blocks(turn)
        if turn is None or turn.message is None or parts is None:
            return None
        if turn.message.model == SYNTHETIC or turn.is_api_error_message:
            return self._synthetic(turn, parts)
        events: list[AnyAgentEvent] = []
        usage = self._account.message(turn.message, turn.timestamp)
        main = turn.parent_tool_use_id is None
        if main:
            self._error = None
            if usage and (turn.message.id is None or turn.message.id != self._message):
                self._message = turn.message.id
                self._model = turn.message.model
                self._context = usage.context
                events.append(Context(usage.context, usage.output_tokens or 0))
        for block in parts:
            event = self._spoken(block)
            if main and isinstance(event, Text):
                self._said = event.text
            if event is not None:
                events.append(event)
        return events

    def _spoken(self, block: Block) -> AnyAgentEvent | None:
        match block.type:
            case "text":
                return Text(block.text) if block.text else None
            case "thinking":
                return Thinking(block.thinking) if block.thinking else None
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                return ToolCall(block.id or "", block.name or "?", summary(block.input, self._cwd), self._context)
            case _:
                return Notice(f"{block.type or 'untyped'} block")

    def _synthetic(self, turn: Turn, parts: list[Block]) -> list[AnyAgentEvent]:
        """What claude itself puts in the model's place: almost always an error of the API."""
        if turn.is_api_error_message and turn.parent_tool_use_id is None:
            self._error = turn.error or "unknown"
            if params := decode(turn.api_error_params, RateLimitLine):
                self._limits(params.rate_limit_info)
        return [Notice(block.text) for block in parts if block.text]

    def _user(self, turn: Turn | None) -> list[AnyAgentEvent] | None:
        parts = _blocks(turn)
        if turn is None or parts is None:
            return None
        events: list[AnyAgentEvent] = []
        for block in parts:
            if block.type == "tool_result":
                ok = not block.is_error
                self._answered(block.tool_use_id)
                events.append(ToolResult(block.tool_use_id or "", ok, _output(block)[:OUTPUT_LIMIT]))
                if ok and (edit := self._edit(turn)):
                    events.append(edit)
            elif block.text:
                events.append(Notice(one_line(block.text, SUMMARY_LIMIT)))
        return events

    def _edit(self, turn: Turn) -> FileEdit | None:
        change = decode(turn.tool_use_result, FileChange)
        if change is None or change.file_path is None or change.structured_patch is None:
            return None
        if change.type == "create":
            return FileEdit(shown(change.file_path, self._cwd), len((change.content or "").splitlines()), 0)
        signs = [line[:1] for hunk in change.structured_patch for line in hunk.lines]
        return FileEdit(shown(change.file_path, self._cwd), signs.count("+"), signs.count("-"))

    def _limits(self, info: RateLimits | None) -> list[AnyAgentEvent] | None:
        if info is None or info.status not in _LIMIT_STATUS:
            return None
        windows = dict(info.unified_windows or {})
        if info.rate_limit_type and info.rate_limit_type not in windows:
            windows[info.rate_limit_type] = Window(info.utilization, info.resets_at, info.status)
        if info.overage_status in ("allowed", "allowed_warning") and "overage" not in windows:
            windows["overage"] = Window(None, info.overage_resets_at, info.overage_status)
        if info.status != "rejected":
            self._closed, self._closed_until = False, None
        else:
            ends = [info.resets_at, *(w.resets_at for w in windows.values() if w.status == "rejected")]
            self._closed = True
            self._closed_until = max((t for end in ends if (t := millis(end))), default=self._closed_until)
        return [_limit(name, window, serves=not self._closed) for name, window in windows.items()]

    def _end(self, line: bytes) -> list[AnyAgentEvent] | None:
        result = decode(line, ResultLine)
        if result is None:
            return None
        if result.uuid is not None:
            if result.uuid in self._results:
                return []
            self._results[result.uuid] = None
            newest(self._results, KEPT)
        self._result, self._done = result, True
        self._asking.clear()
        usage = self._account.result(result)
        return [Result(_succeeded(result), _words(result), usage, _denied(result), self._account.window(self._model))]

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        result = self._result if self._done else None
        failure, why = self._verdict(result, end, stderr_tail)
        word = (result.result if result and failure is None else None) or self._said
        return Outcome(
            succeeded=failure is None,
            failure=failure,
            reason=why,
            result=word.strip()[:RESULT_LIMIT] or None,
            usage=self._account.spent(),
            session=self._session,
            retry_at=self._closed_until if failure is Failure.RATE_LIMITED else None,
            denied=_denied(result) if result else (),
            unknown_lines=self._unknown,
        )

    def _verdict(self, result: ResultLine | None, end: Exit, stderr_tail: str) -> tuple[Failure | None, str | None]:
        if result is None:
            return self._cut_short(end, stderr_tail)
        if not _succeeded(result):
            failure = class_of(result, self._error, self._started)
            return failure, reason(f"{self._name} {WORDS.get(failure, 'failed')}", _words(result))
        if end.code != 0 and end.code <= 128:
            return Failure.UNKNOWN, reason(f"{self._name} reported success and then exited {end.code}", stderr_tail)
        if denied := _denied(result):
            return None, refused(denied)
        return None, f"stopped by {signal_name(end.code)} after its result" if end.code else None

    def _cut_short(self, end: Exit, stderr_tail: str) -> tuple[Failure, str]:
        """The class of a process that ended without the result of its last turn."""
        if self._closed:
            return Failure.RATE_LIMITED, f"{self._name} has reached its rate limit, and ended before it said so"
        if end.code > 128:
            return Failure.CRASHED, f"{self._name} was ended by {signal_name(end.code)} before its result"
        if end.code != 0 and not self._understood:
            return Failure.SPAWN_FAILED, reason(
                f"{self._name} refused to start (exit {end.code})", stderr_tail, last=True
            )
        if end.code != 0:
            return Failure.CRASHED, reason(f"{self._name} exited {end.code} before its result", stderr_tail, last=True)
        return (
            Failure.BAD_OUTPUT,
            f"{self._name} exited 0 without a result: it was interrupted, or prints another format",
        )


def _limit(name: str, window: Window, *, serves: bool) -> Limit:
    """One window. What is used up and serves all the same is paid for beyond it, and closes nothing."""
    status = _LIMIT_STATUS.get(window.status or "allowed", "allowed")
    return Limit(
        name,
        "warning" if serves and status == "rejected" else status,
        None if window.utilization is None else min(1.0, max(0.0, window.utilization)),
        millis(window.resets_at),
        model=name.removeprefix("seven_day_") if name in _MODELS else "",
        signal="rate_limit_event",
    )


def _blocks(turn: Turn | None) -> list[Block] | None:
    return None if turn is None or turn.message is None else blocks(turn.message.content)


def _output(block: Block) -> str:
    parts = blocks(block.content) or []
    return "\n".join(part.text if part.text is not None else f"[{part.type}]" for part in parts)


def _notice(line: bytes, subtype: str | None) -> list[AnyAgentEvent]:
    said = decode(line, QuietLine) or QuietLine()
    words = said.content or said.summary or said.description or said.status
    return [Notice(one_line(f"{subtype}: {words}", SUMMARY_LIMIT))] if words else []


def _succeeded(result: ResultLine) -> bool:
    return result.subtype == "success" and result.is_error is False


def _words(result: ResultLine) -> str:
    return result.result or "; ".join(decode(result.errors, list[str]) or [])


def _denied(result: ResultLine) -> tuple[str, ...]:
    denials = decode(result.permission_denials, list[Denial]) or []
    return tuple(denial.tool_name or "?" for denial in denials)
