"""The lines that opencode 1.18 prints with `run --format json`: the fields that are used, and what its errors mean."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct, field

from engine.agents.failures import STATUS
from engine.agents.lines import NOTHING, Count, Dollars, decode, millis
from engine.model import Failure, Grade, Usage


class Cache(Struct):
    read: Count = 0
    write: Count = 0


class Tokens(Struct):
    """Of one model call. `output` leaves out what was reasoned, `input` what came from the cache or went to it."""

    input: Count = 0
    output: Count = 0
    reasoning: Count = 0
    cache: Cache = field(default_factory=Cache)


def used(model: str, tokens: Tokens, cost: float | None) -> Usage:
    """What one model call used. A model without a price costs opencode 0, which is not known to be true."""
    return Usage(
        model=model,
        input_tokens=tokens.input,
        output_tokens=tokens.output + tokens.reasoning,
        cache_read_tokens=tokens.cache.read,
        cache_write_tokens=tokens.cache.write,
        reasoning_tokens=tokens.reasoning,
        cost_micros=round(cost * 1_000_000) if cost else None,
        grade=Grade.REPORTED if cost else Grade.UNKNOWN,
    )


class State(Struct):
    status: str | None = None
    input: Raw = NOTHING
    output: str | None = None
    error: str | None = None
    title: str | None = None
    """For a tool that works on a file, its path as the project sees it."""
    metadata: Raw = NOTHING


class Part(Struct):
    id: str | None = None
    text: str | None = None
    synthetic: bool | None = None
    tool: str | None = None
    call_id: str | None = field(default=None, name="callID")
    state: State | None = None
    reason: str | None = None
    tokens: Tokens | None = None
    cost: Dollars | None = None


class Line(Struct):
    type: str | None = None
    timestamp: Count | None = None
    session_id: str | None = field(default=None, name="sessionID")
    part: Part | None = None
    error: Raw = NOTHING


class ToolInput(Struct):
    """What of a tool's arguments is needed beyond its summary."""

    tool: str | None = None
    file_path: str | None = field(default=None, name="filePath")
    content: str | None = None


class FileDiff(Struct):
    additions: Count = 0
    deletions: Count = 0


class Metadata(Struct):
    """What a tool says of its result beside its output."""

    filediff: FileDiff | None = None
    exists: bool | None = None
    exit: int | None = None


class ErrorData(Struct, rename="camel"):
    message: str | None = None
    status_code: int | None = None
    is_retryable: bool | None = None
    response_headers: dict[str, str] | None = None
    response_body: str | None = None


class Error(Struct):
    name: str | None = None
    data: ErrorData | None = None


class BodyError(Struct):
    type: str | None = None
    code: str | int | None = None
    resets_at: float | None = None


class Body(Struct):
    """What OpenAI and those that are compatible with it answer with an error."""

    error: BodyError | None = None


ERRORS: Mapping[str, Failure] = {
    "ContextOverflowError": Failure.CONTEXT_OVERFLOW,
    "ProviderAuthError": Failure.AUTH,
    "MessageOutputLengthError": Failure.BAD_OUTPUT,
    "StructuredOutputError": Failure.BAD_OUTPUT,
    "MessageAbortedError": Failure.CRASHED,
}


def class_of(error: Error) -> Failure:
    """The class of an `error`. A refusal for want of money has the status of a rate limit, and a code of its own."""
    if (named := ERRORS.get(error.name or "")) is not None:
        return named
    data = error.data or ErrorData()
    body = _body(data)
    if "insufficient_quota" in (body.code, body.type):
        return Failure.BILLING
    if data.status_code is not None:
        return STATUS.get(data.status_code, Failure.UNKNOWN)
    return Failure.OVERLOADED if data.is_retryable else Failure.UNKNOWN


def retry_at(error: Error, at: int | None) -> int | None:
    """Milliseconds UTC: when the provider says that it serves again. `at` is when the error was told."""
    data = error.data or ErrorData()
    if (resets := millis(_body(data).resets_at)) is not None:
        return resets
    headers = {name.lower(): value for name, value in (data.response_headers or {}).items()}
    for name, unit in (("retry-after-ms", 1), ("retry-after", 1_000)):
        value = headers.get(name, "")
        if at is not None and value.isascii() and value.isdecimal() and len(value) < 9:
            return at + int(value) * unit
    return None


def _body(data: ErrorData) -> BodyError:
    body = decode((data.response_body or "").encode(errors="replace"), Body)
    return (body.error if body else None) or BodyError()
