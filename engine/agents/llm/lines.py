"""What goes into a model call, and what it prints: one JSON object a line, told apart by `type`.

The format is Headway's own, number `FORMAT`; docs/llm.md describes it. A reader ignores fields that it does not know.
"""

from __future__ import annotations

from msgspec import Struct

from engine.model import Failure, Usage

FORMAT = 1
ASSIGNMENT = "call.json"  #: in the run directory: a `Call`
ANSWERS = ("answer.json", "answer.txt")  #: in the run directory: the whole answer, with a schema and without


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to ask, of whom. The key itself is never in it: `key` names the variable that holds it."""

    speaks: str
    """The API: messages, responses, chat or gemini."""
    provider: str
    model: str
    prompt: str
    base_url: str | None = None
    key: str
    key_needed: bool = True
    system: str | None = None
    schema: dict[str, object] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    idle: float = 300.0
    """Seconds for which the provider may send nothing."""


class Line(Struct, frozen=True, tag_field="type"):
    """Base of the lines."""


class StartLine(Line, frozen=True, tag="start", omit_defaults=True):
    """The first line."""

    format: int
    provider: str
    model: str
    client: str
    """The library that asks, with its version."""


class TextLine(Line, frozen=True, tag="text"):
    """A piece of the answer. All pieces together are the answer."""

    text: str


class ThinkingLine(Line, frozen=True, tag="thinking"):
    """A piece of what the model tells of its reasoning."""

    text: str


class Window(Struct, frozen=True, omit_defaults=True):
    """A rate limit as the answer's headers told it."""

    name: str
    limit: int | None = None
    remaining: int | None = None
    resets_at: int | None = None
    """Milliseconds UTC."""


class LimitsLine(Line, frozen=True, tag="limits"):
    windows: tuple[Window, ...]
    rejected: bool = False
    """They came with a refusal."""


class RetryLine(Line, frozen=True, tag="retry"):
    """Nothing had been said yet, and it asks again."""

    attempt: int
    delay_ms: int
    status: int | None
    error: str


class UsageLine(Line, frozen=True, tag="usage"):
    """What the call has used so far. The last of several counts."""

    usage: Usage


class ResultLine(Line, frozen=True, tag="result", omit_defaults=True):
    """The last line of a call that was answered."""

    text: str
    """The answer's beginning; `file` holds all of it."""
    stop: str
    """Why the model ended, in its provider's word."""
    file: str
    chars: int


class ErrorLine(Line, frozen=True, tag="error", omit_defaults=True):
    """The last line of a call that was not answered, or not in a usable way."""

    failure: Failure
    message: str
    status: int | None = None
    code: str | None = None
    """The provider's own."""
    retry_at: int | None = None
    """Milliseconds UTC: when the provider says to come back."""
    request: str | None = None
    """The provider's number for the request."""
    text: str = ""
    """The beginning of what was answered all the same."""
    file: str | None = None


AnyLine = StartLine | TextLine | ThinkingLine | LimitsLine | RetryLine | UsageLine | ResultLine | ErrorLine
