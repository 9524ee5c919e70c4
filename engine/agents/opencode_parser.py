"""opencode's stream of JSON lines, read into events and, at the end, an outcome.

It has no event for the end of a run: that is the process' exit, and whether it is a good one is told by the last step.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.agents.base import RESULT_LIMIT, Exit, Outcome
from engine.agents.events import (
    AnyAgentEvent,
    Context,
    FileEdit,
    Notice,
    Permission,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from engine.agents.failures import WORDS
from engine.agents.headers import limits_in
from engine.agents.lines import OUTPUT_LIMIT, SUMMARY_LIMIT, decode, one_line, reason, refused, signal_name, summary
from engine.agents.opencode_lines import (
    Error,
    Line,
    Metadata,
    Part,
    State,
    Tokens,
    ToolInput,
    class_of,
    retry_at,
    used,
)
from engine.agents.reading import JsonLines
from engine.agents.tally import Tally
from engine.model import Failure
from engine.money import Entry
from engine.window import UNNAMED

#: A context that is still too long after it was shortened so often will not fit: it would go on for ever.
OVERFLOWS = 3
#: So many answers that each end the run, and none of which does: another run is in the session, and both spin for ever.
CIRCLES = 3
DENIALS_KEPT = 100
_UNKNOWN = "unknown"  #: the model, where the agent's own was taken
_UNOFFERED = "invalid"  #: the tool that stands in for one that was not offered to the model


class OpencodeParser(JsonLines):
    """Reads one `opencode run`."""

    def __init__(self, name: str = "opencode", *, model: str | None = None, resumed: bool = False) -> None:
        super().__init__(name, resumed=resumed)
        self._model = model or _UNKNOWN
        self._session: str | None = None
        self._said = ""
        self._step: str | None = None
        """Why the newest step ended, until something comes after it."""
        self._failed_tool: str | None = None
        """The newest tool of the newest step, where its use failed."""
        self._denied: list[str] = []
        self._error: Error | None = None
        self._error_at: int | None = None
        self._overflows = 0
        self._ends = 0
        self._tally = Tally()
        self._steps = 0

    @property
    def said_done(self) -> bool:
        """Its last step has ended, or it goes round in circles and will not end."""
        return self._step == "stop" or self._overflows >= OVERFLOWS or self._ends >= CIRCLES

    def read(self, line: bytes) -> list[AnyAgentEvent] | None:
        said = decode(line, Line)
        if said is None or said.type not in ("step_start", "text", "reasoning", "tool_use", "step_finish", "error"):
            return None
        events: list[AnyAgentEvent] = []
        if self._session is None and said.session_id:
            self._session = said.session_id
            events.append(Started(said.session_id))
        self._step = None
        if said.type == "error":
            return [*events, *self._broke(said)]
        if said.part is None:
            return None
        return [*events, *self._part(said.type, said.part, said.timestamp)]

    def _part(self, kind: str, part: Part, at: int | None) -> list[AnyAgentEvent]:
        match kind:
            case "text":
                return self._text(part)
            case "reasoning":
                return [Thinking(part.text)] if part.text else []
            case "tool_use":
                return self._tool(part)
            case "step_finish":
                return self._finish(part, at)
            case _:
                self._failed_tool = None
                return []

    def _text(self, part: Part) -> list[AnyAgentEvent]:
        """What opencode says in the user's place, to go on after a compaction, is no answer."""
        if not part.text:
            return []
        if part.synthetic:
            self._ends = 0
            return [Notice(one_line(part.text, SUMMARY_LIMIT))]
        self._said = part.text
        return [Text(part.text)]

    def _tool(self, part: Part) -> list[AnyAgentEvent]:
        """Told when it has finished: the call and its result are one line."""
        self._ends = 0
        state, name, id_ = part.state or State(), part.tool or "?", part.call_id or ""
        given = decode(state.input, ToolInput) or ToolInput()
        metadata = decode(state.metadata, Metadata) or Metadata()
        ok = state.status == "completed" and not metadata.exit
        refused: list[AnyAgentEvent] = []
        if name == _UNOFFERED:
            name, ok = given.tool or name, False
            refused = [Permission(name, "it was not offered to the model")]
            if len(self._denied) < DENIALS_KEPT:
                self._denied.append(name)
        self._failed_tool = name if state.status == "error" else None
        output = (state.output if state.status == "completed" else state.error) or ""
        events: list[AnyAgentEvent] = [
            ToolCall(id_, name, summary(state.input)),
            *refused,
            ToolResult(id_, ok, output[:OUTPUT_LIMIT]),
        ]
        if ok and given.file_path and (edit := _edit(name, state.title or given.file_path, given, metadata)):
            events.append(edit)
        return events

    def _finish(self, part: Part, at: int | None) -> list[AnyAgentEvent]:
        self._step = part.reason
        if part.reason == "stop":
            self._error = None  # it has got over it, though its exit will still be 1
            self._ends += 1
        tokens = part.tokens or Tokens()
        self._steps += 1
        self._tally.message(part.id or f"/step/{self._steps}", used(self._model, tokens, part.cost), at=at)
        context = tokens.input + tokens.cache.read + tokens.cache.write
        return [Context(context, tokens.output)] if context else []

    def _broke(self, said: Line) -> list[AnyAgentEvent]:
        """An error of its provider that it gave up on, or of its own. A full context it shortens, and goes on."""
        self._error, self._error_at = decode(said.error, Error) or Error(), said.timestamp
        if class_of(self._error) is Failure.CONTEXT_OVERFLOW:
            self._overflows += 1
        return [Notice(one_line(_words(self._error), SUMMARY_LIMIT)), *self._limits()]

    def _limits(self) -> list[AnyAgentEvent]:
        """What the headers of the refusal tell of the windows of its model."""
        error, at = self._error, self._error_at
        if error is None or at is None or class_of(error) is not Failure.RATE_LIMITED:
            return []
        told = error.data.response_headers if error.data is not None else None
        found = limits_in(told or {}, at, refused=True, model=self._model if self._model != _UNKNOWN else "")
        return [one for one in found if one.window != UNNAMED]  # of that one the outcome tells

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        failure, why = self._verdict(end, stderr_tail)
        limited = failure is Failure.RATE_LIMITED and self._error is not None
        return Outcome(
            succeeded=failure is None,
            failure=failure,
            reason=why,
            result=self._said.strip()[:RESULT_LIMIT] or None,
            usage=self._tally.usage,
            session=self._session,
            retry_at=retry_at(self._error, self._error_at) if limited and self._error else None,
            denied=tuple(self._denied),
            unknown_lines=self.unknown,
        )

    def _verdict(self, end: Exit, stderr_tail: str) -> tuple[Failure | None, str | None]:
        if self._overflows >= OVERFLOWS or (self._error is not None and 0 < end.code <= 128):
            error = self._error or Error("ContextOverflowError")
            failure = class_of(error)
            return failure, reason(f"{self.name} {WORDS.get(failure, 'failed')}", _words(error))
        if self._ends >= CIRCLES:
            return Failure.CONTEXT_LOST, f"{self.name} goes round in circles: another run is in its session"
        if self._step == "stop":
            return None, self._remark(end)
        if end.code == 0 and self._step is not None and self._failed_tool is not None:
            # In a headless run a tool that has to be asked for is refused, and the run ends there, with exit 0.
            return Failure.BAD_OUTPUT, f"{self.name} ended where the use of {self._failed_tool} was refused"
        return self.cut_short(end, stderr_tail)

    def _remark(self, end: Exit) -> str | None:
        if end.code > 128:
            return f"stopped by {signal_name(end.code)} after its last step"
        if end.code:
            return f"{self.name} met an error, got over it, and exited {end.code}"
        if self._denied:
            return refused(self._denied)
        return None

    @property
    def spent(self) -> tuple[Entry, ...]:
        """Its steps: each is one call of the model."""
        return self._tally.entries

    def freshly_spent(self) -> Sequence[Entry]:
        return self._tally.fresh()


def _edit(name: str, path: str, given: ToolInput, metadata: Metadata) -> FileEdit | None:
    if metadata.filediff is not None:
        return FileEdit(path, metadata.filediff.additions, metadata.filediff.deletions)
    if name == "write":
        new = metadata.exists is False
        return FileEdit(path, len((given.content or "").splitlines()), 0) if new else FileEdit(path)
    return None


def _words(error: Error) -> str:
    return (error.data.message if error.data else None) or error.name or "an error without a name"
