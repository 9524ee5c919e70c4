"""The lines of a model call, read into events and, at the end, an outcome."""

from __future__ import annotations

import msgspec

from engine.agents.base import RESULT_LIMIT, Exit, Outcome, Parser
from engine.agents.events import (
    AnyAgentEvent,
    Context,
    Result,
    Retrying,
    Started,
    Text,
    Thinking,
    Unknown,
)
from engine.agents.failures import WORDS
from engine.agents.headers import of_counts
from engine.agents.lines import clock
from engine.agents.llm.lines import (
    AnyLine,
    ErrorLine,
    LimitsLine,
    ResultLine,
    RetryLine,
    StartLine,
    TextLine,
    ThinkingLine,
    UsageLine,
)
from engine.model import Failure, Usage
from engine.money import Entry

UNKNOWN_LIMIT = 200  #: characters of a line that is not known

_decode = msgspec.json.Decoder(AnyLine).decode


class LlmParser(Parser):
    """Reads one call."""

    def __init__(self) -> None:
        self._model = ""
        self._usage: Usage | None = None
        self._end: ResultLine | ErrorLine | None = None
        self._heard = False
        self._unknown = 0

    @property
    def spent(self) -> tuple[Entry, ...]:
        """One call; before its end more may be used."""
        if self._usage is None:
            return ()
        return (Entry(message="/call", usage=self._usage, final=self._end is not None),)

    @property
    def said_done(self) -> bool:
        return self._end is not None

    def line(self, line: bytes) -> list[AnyAgentEvent]:
        if not line.strip():
            return []
        try:
            said = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._unknown += 1
            return [Unknown(line[: 4 * UNKNOWN_LIMIT].decode(errors="replace")[:UNKNOWN_LIMIT])]
        self._heard = True
        return self._events(said)

    def _events(self, said: AnyLine) -> list[AnyAgentEvent]:
        match said:
            case StartLine():
                self._model = f"{said.provider}/{said.model}"
                return [Started(None, f"{said.provider}/{said.model}", None, said.client.rpartition(" ")[2])]
            case TextLine():
                return [Text(said.text)]
            case ThinkingLine():
                return [Thinking(said.text)]
            case LimitsLine():
                return [
                    of_counts(
                        one.name, one.limit, one.remaining, clock(one.resets_at), self._model, refused=said.rejected
                    )
                    for one in said.windows
                ]
            case RetryLine():
                return [Retrying(said.attempt, said.delay_ms, said.status, said.error)]
            case UsageLine(usage=usage):
                self._usage = usage
                told = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
                return [Context(told + usage.output_tokens, usage.output_tokens)]
            case ResultLine():
                self._end = said
                return [Result(True, said.text, self._spent())]
            case ErrorLine():
                self._end = said
                return [Result(False, said.message, self._spent())]

    def _spent(self) -> tuple[Usage, ...]:
        return (self._usage,) if self._usage is not None else ()

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        said = self._end
        if isinstance(said, ResultLine):
            word = said.text.strip()[:RESULT_LIMIT] or None
            return Outcome(succeeded=True, result=word, usage=self._spent(), unknown_lines=self._unknown)
        if isinstance(said, ErrorLine):
            return Outcome(
                succeeded=False,
                failure=said.failure,
                reason=said.message or f"the model call {WORDS.get(said.failure, 'failed')}",
                result=said.text.strip()[:RESULT_LIMIT] or None,
                usage=self._spent(),
                retry_at=clock(said.retry_at),
                unknown_lines=self._unknown,
            )
        failure, reason = self._cut_short(end, stderr_tail)
        return Outcome(
            succeeded=False, failure=failure, reason=reason, usage=self._spent(), unknown_lines=self._unknown
        )

    def _cut_short(self, end: Exit, stderr_tail: str) -> tuple[Failure, str]:
        if end.code > 128:
            return Failure.CRASHED, f"the model call was ended by signal {end.code - 128} before its answer"
        last = next((line.strip() for line in reversed(stderr_tail.splitlines()) if line.strip()), "")[:300]
        if end.code != 0 and not self._heard:
            what = f"the model call could not be started (exit {end.code})"
            return Failure.SPAWN_FAILED, f"{what}: {last}" if last else what
        if end.code != 0:
            return Failure.CRASHED, f"the model call broke off (exit {end.code}): {last}".rstrip(": ")
        return Failure.BAD_OUTPUT, "the model call ended without an answer: its program prints another format"
