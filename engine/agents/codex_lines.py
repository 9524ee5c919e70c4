"""The lines that Codex 0.169 prints with `exec --json`, and those of its rollout: the fields that are used."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct

from engine.agents.failures import STATUS
from engine.agents.lines import NOTHING, Count, decode
from engine.model import Failure, Usage

#: `type` of items that are told when they begin and when they end, and what names their subject.
TOOL_ITEMS = {
    "command_execution": "command",
    "mcp_tool_call": "tool",
    "web_search": "query",
    "collab_tool_call": "tool",
}
QUIET_ITEMS = frozenset({"error", "todo_list", "file_change"})
QUIET_TYPES = frozenset({"turn.started", "item.updated"})


class Change(Struct):
    path: str | None = None
    kind: str | None = None


class Item(Struct):
    id: str | None = None
    type: str | None = None
    text: str | None = None
    message: str | None = None
    command: str | None = None
    aggregated_output: str | None = None
    exit_code: int | None = None
    status: str | None = None
    changes: list[Change] | None = None
    tool: str | None = None
    server: str | None = None
    query: str | None = None


class Message(Struct):
    message: str | None = None


class Line(Struct):
    """One line of standard output."""

    type: str | None = None
    thread_id: str | None = None
    message: str | None = None
    error: Message | None = None
    item: Item | None = None
    usage: Raw = NOTHING
    """`Tokens` of the whole thread, over all of its resumes."""


class Tokens(Struct):
    """`input_tokens` has the cached ones in it."""

    input_tokens: Count = 0
    cached_input_tokens: Count = 0
    cache_write_input_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_output_tokens: Count = 0
    total_tokens: Count = 0


def used(model: str, tokens: Tokens) -> Usage:
    """What codex says of tokens, told apart by kind. It knows no prices."""
    cached = tokens.cached_input_tokens + tokens.cache_write_input_tokens
    return Usage(
        model=model,
        input_tokens=max(0, tokens.input_tokens - cached),
        output_tokens=tokens.output_tokens,
        cache_read_tokens=tokens.cached_input_tokens,
        cache_write_tokens=tokens.cache_write_input_tokens,
        reasoning_tokens=tokens.reasoning_output_tokens,
    )


class Window(Struct):
    used_percent: float | None = None
    window_minutes: float | None = None
    resets_at: float | None = None
    resets_in_seconds: float | None = None
    """Instead of `resets_at`, in older versions."""


class Credits(Struct):
    has_credits: bool | None = None
    unlimited: bool | None = None


class RateLimits(Struct):
    """`limit_id` is `codex` for the limits of the account; others are of the models that they name."""

    primary: Window | None = None
    secondary: Window | None = None
    credits: Credits | None = None
    limit_id: str | None = None
    limit_name: str | None = None


class TokenInfo(Struct):
    last_token_usage: Tokens | None = None
    model_context_window: Count | None = None


class TurnError(Struct):
    message: str | None = None
    codex_error_info: Raw = NOTHING
    """A word, or an object of one word whose value may hold `http_status_code`."""


class Payload(Struct):
    type: str | None = None
    cli_version: str | None = None
    cwd: str | None = None
    model: str | None = None
    turn_id: str | None = None
    response_id: str | None = None
    usage: Tokens | None = None
    turn_token_usage: Tokens | None = None
    info: TokenInfo | None = None
    rate_limits: RateLimits | None = None
    error: TurnError | None = None


class RecordHead(Struct):
    """A rollout's line: what kind it is is said by `type`, and for `event_msg` by its payload's."""

    type: str | None = None
    timestamp: str | None = None
    payload: Raw = NOTHING


#: The words of `codex_error_info`. Those that tell an HTTP status go by it, and are `overloaded` without one: then no
#: answer was had at all. `usage_limit_exceeded` also stands for an API key's quota that is used up: nothing tells
#: them apart, and waiting costs nothing.
ERRORS: Mapping[str, Failure] = {
    "usage_limit_exceeded": Failure.RATE_LIMITED,
    "server_overloaded": Failure.OVERLOADED,
    "internal_server_error": Failure.OVERLOADED,
    "http_connection_failed": Failure.OVERLOADED,
    "response_stream_connection_failed": Failure.OVERLOADED,
    "response_stream_disconnected": Failure.OVERLOADED,
    "response_too_many_failed_attempts": Failure.OVERLOADED,
    "unauthorized": Failure.AUTH,
    "context_window_exceeded": Failure.CONTEXT_OVERFLOW,
    "session_budget_exceeded": Failure.BUDGET_EXCEEDED,
}


class _Status(Struct):
    http_status_code: int | None = None


def class_of(info: Raw) -> tuple[str | None, Failure]:
    """The word of `codex_error_info`, and its class."""
    name = decode(info, str)
    status = None
    if name is None:
        given = decode(info, dict[str, Raw]) or {}
        name = next(iter(given), None)
        status = (decode(given[name], _Status) or _Status()).http_status_code if name is not None else None
    if status is not None:
        return name, STATUS.get(status, Failure.UNKNOWN)
    return name, ERRORS.get(name or "", Failure.UNKNOWN)
