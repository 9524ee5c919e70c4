"""An agent's side of the Agent Client Protocol, read into events, requests and, at the end, an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, Raw

from engine.agents import acp_lines as acp
from engine.agents.asking import Change, Request
from engine.agents.base import RESULT_LIMIT, Errand, Exit, Outcome, Parser
from engine.agents.events import (
    AnyAgentEvent,
    Ask,
    FileEdit,
    Result,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Unknown,
)
from engine.agents.lines import decode, newest
from engine.decision import CardKind
from engine.foreign import NOT_JSON
from engine.model import Failure, Usage
from engine.money import Entry

TEXT_LIMIT = 2_000  #: characters of a tool's output in an event
ID_BYTES = 200  #: of a request's id
KEPT = 100  #: requests that wait for an answer
LINE_LIMIT = 200  #: characters of a title, and of an unknown line

#: JSON-RPC codes of errors: -32000 is the protocol's own for an agent that is not signed in, others are of HTTP.
_CODES = {
    -32000: Failure.AUTH,
    401: Failure.AUTH,
    403: Failure.AUTH,
    429: Failure.RATE_LIMITED,
    **dict.fromkeys(range(500, 600), Failure.OVERLOADED),
}
_STOPS = {
    "max_tokens": Failure.BAD_OUTPUT,
    "max_turn_requests": Failure.BUDGET_EXCEEDED,
    "refusal": Failure.BAD_OUTPUT,
    "cancelled": Failure.CRASHED,
}


class AcpParser(Parser):
    """Reads one process, which has one session and one prompt."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asking: dict[str, Request] = {}
        self._errands: dict[str, Errand] = {}
        self._version: str | None = None
        self._session: str | None = None
        self._ready = False
        self._fresh = False
        """The session began with this process: nothing in it is older than the prompt."""
        self._said = ""
        self._chunk = ""
        self._end: acp.Answered | None = None
        self._error: acp.Failed | None = None
        self._lost = False
        self._unknown = 0
        self._requests = 0

    @property
    def asking(self) -> Mapping[str, Request]:
        return self._asking

    @property
    def errands(self) -> Sequence[Errand]:
        return tuple(self._errands.values())

    @property
    def spent(self) -> tuple[Entry, ...]:
        """It tells its tokens once, with its answer."""
        return tuple(Entry(message=f"/prompt/{one.model}", usage=one) for one in self._usage())

    @property
    def said_done(self) -> bool:
        return self._end is not None or self._error is not None

    def line(self, line: bytes) -> list[AnyAgentEvent]:
        if not line.strip():
            return []
        said = decode(line, acp.Line)
        events = None if said is None else self._read(said)
        if events is None:
            self._unknown += 1
            return [Unknown(line[: 4 * LINE_LIMIT].decode(errors="replace")[:LINE_LIMIT])]
        return events

    def _read(self, said: acp.Line) -> list[AnyAgentEvent] | None:
        if said.id is not UNSET and not _is_id(said.id):
            return None
        if said.method == "session/update":
            update = decode(said.params, acp.Update)
            return None if update is None or update.update is None else self._update(update, update.update)
        if said.method == "session/request_permission" and said.id is not UNSET:
            return self._ask(bytes(said.id).decode(), said.params)
        if said.method is not None:
            if said.id is not UNSET:
                name = f"refuse {self._numbered(bytes(said.id).decode())}"
                self._errands[name] = Errand(name)
                newest(self._errands, KEPT)
            return []
        number = decode(said.id, int) if said.id is not UNSET else None
        if said.error is not None and number is not None:
            self._error, self._lost = said.error, number == acp.SESSION
            self._asking.clear()
            return [Result(False, said.error.message or "")]
        return self._answered(number, said.result) if said.result is not UNSET else None

    def _answered(self, number: int | None, result: Raw) -> list[AnyAgentEvent] | None:
        match number:
            case acp.INITIALIZE:
                info = (decode(result, acp.Initialized) or acp.Initialized()).agent_info
                self._version = info.version if info else None
                return []
            case acp.SESSION:
                session = decode(result, acp.Session) or acp.Session()
                self._session = session.session_id or self._session
                self._fresh = session.session_id is not None
                self._ready = True
                self._errands["prompt"] = Errand("prompt", "task", self._session)
                model = session.models.current_model_id if session.models else None
                return [Started(self._session, model, None, self._version)]
            case acp.PROMPT:
                self._end = decode(result, acp.Answered) or acp.Answered()
                self._asking.clear()
                return [Result(self._end.stop_reason == "end_turn", self._said, self._usage())]
            case _:
                return None

    def _update(self, whole: acp.Update, update: acp.ToolUse) -> list[AnyAgentEvent]:
        self._session = whole.session_id or self._session
        if not self._ready:
            return []  # what was said in the session before it was loaded again
        kind = update.session_update
        if kind in ("agent_message_chunk", "agent_thought_chunk"):
            if self._fresh:  # of a session that was loaded some tell what was said before even after that
                self._errands.pop("prompt", None)
            spoken = decode(update.content, acp.Spoken)
            text = spoken.text if spoken and spoken.text else ""
            if kind == "agent_thought_chunk":
                return [Thinking(text)] if text else []
            self._chunk = self._said = (self._chunk + text)[-RESULT_LIMIT:]
            return [Text(text)] if text else []
        if kind == "tool_call":
            self._chunk = ""
            return [ToolCall(update.tool_call_id or "", update.kind or "other", _title(update))]
        if kind == "tool_call_update" and update.status in ("completed", "failed"):
            return self._tool_ended(update)
        return []

    def _tool_ended(self, update: acp.ToolUse) -> list[AnyAgentEvent]:
        self._chunk = ""
        for name in [name for name, one in self._asking.items() if one.call == update.tool_call_id]:
            del self._asking[name]
        parts = decode(update.content, list[acp.Part]) or []
        ok = update.status == "completed"
        texts = [spoken.text or "" for part in parts if (spoken := decode(part.content, acp.Spoken)) is not None]
        events: list[AnyAgentEvent] = [ToolResult(update.tool_call_id or "", ok, "\n".join(texts)[:TEXT_LIMIT])]
        for part in parts:
            if ok and part.type == "diff" and part.path is not None:
                old, new = (part.old_text or "").splitlines(), (part.new_text or "").splitlines()
                events.append(_edit(part.path, old, new))
        return events

    def _ask(self, number: str, params: Raw) -> list[AnyAgentEvent] | None:
        asked = decode(params, acp.PermissionAsked)
        if asked is None or asked.tool_call is None:
            return None
        self._errands.pop("prompt", None)
        name = self._numbered(number)
        call = asked.tool_call
        tool = call.kind or "other"
        path = next((one.path for one in call.locations or [] if one.path), None)
        command = decode(call.raw_input, acp.Command)
        subject = (command.command if command else None) or call.title or ""
        changes = [part for part in decode(call.content, list[acp.Part]) or [] if part.type == "diff"]
        on_file = path is not None and tool in ("read", "edit", "delete", "move")
        request = Request(
            id=name,
            kind=CardKind.PERMISSION,
            tool=tool,
            arguments=bytes(params),
            summary=_title(call),
            subject=path if on_file and path is not None else subject,
            shell=tool == "execute",
            path=on_file,
            why=" ".join(self._said.split())[-300:],
            change=_change(changes[0]) if changes else None,
            call=call.tool_call_id or "",
        )
        self._asking[name] = request
        newest(self._asking, KEPT)
        return [Ask(name, tool, request.summary)]

    def _numbered(self, number: str) -> str:
        """A name for a request of the agent's: it may use a number again, once that was answered."""
        self._requests += 1
        return f"{self._requests}.{number}"

    def _usage(self) -> tuple[Usage, ...]:
        quota = self._end.meta.quota if self._end and self._end.meta else None
        counted = [one for one in (quota.model_usage or [] if quota else []) if one.model and one.token_count]
        return tuple(
            Usage(
                model=one.model or "",
                input_tokens=max(0, one.token_count.input_tokens or 0) if one.token_count else 0,
                output_tokens=max(0, one.token_count.output_tokens or 0) if one.token_count else 0,
            )
            for one in counted
        )

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        failure, reason = self._verdict(end, stderr_tail)
        return Outcome(
            succeeded=failure is None,
            failure=failure,
            reason=reason,
            result=self._said.strip()[:RESULT_LIMIT] or None,
            usage=self._usage(),
            session=self._session,
            unknown_lines=self._unknown,
        )

    def _verdict(self, end: Exit, stderr_tail: str) -> tuple[Failure | None, str | None]:
        if self._error is not None:
            words = " ".join((self._error.message or "").split())[:300]
            failure = _CODES.get(self._error.code or 0, Failure.CONTEXT_LOST if self._lost else Failure.UNKNOWN)
            return failure, f"{self._name} reported an error {self._error.code}: {words}"
        if self._end is not None:
            stop = self._end.stop_reason or "?"
            if stop == "end_turn":
                return None, None
            return _STOPS.get(stop, Failure.UNKNOWN), f"{self._name} stopped: {stop}"
        tail = " ".join(stderr_tail.split())[-300:]
        if not self._ready and end.code <= 128:
            return Failure.SPAWN_FAILED, f"{self._name} did not begin a session (exit {end.code}): {tail}"
        return Failure.CRASHED, f"{self._name} ended before its answer (exit {end.code}): {tail}"


def _is_id(number: Raw) -> bool:
    """What can be answered: a number or a word, and no longer than anybody counts. Raw is not held to be text."""
    try:
        return len(bytes(number)) <= ID_BYTES and isinstance(msgspec.json.decode(number), int | str)
    except NOT_JSON:
        return False


def _title(call: acp.ToolUse) -> str:
    return " ".join((call.title or call.kind or "?").split())[:LINE_LIMIT]


def _change(part: acp.Part) -> Change:
    if part.old_text:
        return Change(part.path or "?", ((part.old_text, part.new_text or ""),))
    return Change(part.path or "?", content=part.new_text or "")


def _edit(path: str, old: list[str], new: list[str]) -> FileEdit:
    """Lines added and removed, between what both texts begin and end with."""
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    end = next((n for n in range(shorter - start) if old[-1 - n] != new[-1 - n]), shorter - start)
    return FileEdit(path, len(new) - start - end, len(old) - start - end)


def task(prompt: str, session: str | None) -> bytes:
    """What is kept until the session is there."""
    return msgspec.json.encode(acp.Task(prompt.encode(errors="replace").decode(), session))
