"""The lines that Gemini CLI 0.61 prints with `-o stream-json`: the fields that are used, and what its exits mean."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct, field

from engine.agents.failures import STATUS
from engine.agents.lines import NOTHING, Count
from engine.model import Failure, Usage

#: `error.type` of a tool's result whose use was not allowed: the tool was not offered, or a policy forbade it.
DENIED = frozenset({"tool_not_registered", "policy_violation"})
#: The tools that change a file, and what holds the lines that they take out and put in.
EDITS: Mapping[str, tuple[str | None, str]] = {"write_file": (None, "content"), "replace": ("old_string", "new_string")}


class Error(Struct):
    type: str | None = None
    message: str | None = None


class Tokens(Struct):
    """`input_tokens` has the cached ones in it, and `total_tokens` the thoughts, which nothing else has."""

    total_tokens: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cached: Count = 0


class Recorded(Struct):
    """Tokens of one answer in the record of a chat. `input` has the cached ones in it."""

    input: Count = 0
    output: Count = 0
    cached: Count = 0
    thoughts: Count = 0
    total: Count = 0


class RecordLine(Struct):
    """A line of the record of a chat. An answer comes again, with the same id, once its tools have ended."""

    id: str | None = None
    timestamp: str | None = None
    type: str | None = None
    model: str | None = None
    tokens: Recorded | None = None


def used(model: str, tokens: Tokens) -> Usage:
    """What gemini says of a model's tokens in a run. What it thought is only in the total."""
    return Usage(
        model=model,
        input_tokens=max(0, tokens.input_tokens - tokens.cached),
        output_tokens=max(tokens.output_tokens, tokens.total_tokens - tokens.input_tokens),
        cache_read_tokens=tokens.cached,
        reasoning_tokens=max(0, tokens.total_tokens - tokens.input_tokens - tokens.output_tokens),
    )


def answered(line: RecordLine) -> Usage | None:
    """What one answer used; None for a line that is none."""
    one = line.tokens
    if line.type != "gemini" or line.id is None or one is None:
        return None
    tokens = Tokens(total_tokens=one.total, input_tokens=one.input, output_tokens=one.output, cached=one.cached)
    return used(line.model or "unknown", tokens)


class Stats(Struct):
    """Of this run, and not of the session."""

    models: dict[str, Tokens] = field(default_factory=dict)


class Line(Struct):
    type: str | None = None
    session_id: str | None = None
    model: str | None = None
    role: str | None = None
    content: str | None = None
    tool_name: str | None = None
    tool_id: str | None = None
    parameters: Raw = NOTHING
    status: str | None = None
    output: str | None = None
    error: Error | None = None
    message: str | None = None
    severity: str | None = None
    stats: Raw = NOTHING


#: Names of the program's own fatal errors, as `result` tells them.
ERRORS: Mapping[str, Failure] = {
    "FatalAuthenticationError": Failure.AUTH,
    "FatalCancellationError": Failure.CRASHED,
    "FatalToolExecutionError": Failure.BAD_OUTPUT,
    "FatalTurnLimitedError": Failure.BUDGET_EXCEEDED,
}

#: The exit codes of the same errors, for a run that ended without a `result`. The others are a refusal to start.
EXITS: Mapping[int, Failure] = {
    41: Failure.AUTH,
    53: Failure.BUDGET_EXCEEDED,
    54: Failure.BAD_OUTPUT,
    130: Failure.CRASHED,
}


def class_of(error: str | None, code: int) -> Failure:
    """The class of a `result` that is an error.

    An error of the API is always of the type `unknown`. Its HTTP status is told by the exit code, which wraps at 256:
    429 comes out as 173. Of a bad key, a bad request and a full context only the status, 400, is told.
    """
    if (named := ERRORS.get(error or "")) is not None:
        return named
    return STATUS.get(code + 256, Failure.UNKNOWN) if code > 128 else Failure.UNKNOWN
