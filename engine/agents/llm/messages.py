"""Asking by the Anthropic Messages API. https://docs.anthropic.com/en/api/messages-streaming"""

from __future__ import annotations

from typing import Any

from engine.agents.llm.answer import has_free_object
from engine.agents.llm.asking import NOT_GIVEN, Asked, Ended, Trouble, broke_off, on_the_wire, timeouts, told_by
from engine.model import Failure, Usage

CLIENT = "anthropic"
MOST_TOKENS = (
    16_384  #: of an answer, where nobody says so: this API wants a number, and every current model gives as much
)

_STOPS = {
    "refusal": (Failure.BAD_OUTPUT, "the model refused to answer"),
    "max_tokens": (Failure.BAD_OUTPUT, "the answer was cut at max_tokens"),
    "model_context_window_exceeded": (Failure.CONTEXT_OVERFLOW, "the answer filled the model's context"),
}


def ask(asked: Asked) -> Ended:
    """Ask, tell the answer as it comes, and return why it ended. Raises `Trouble`."""
    import anthropic

    call = asked.call
    client = anthropic.Anthropic(
        api_key=asked.key or NOT_GIVEN, base_url=call.base_url, max_retries=0, timeout=timeouts(call)
    )
    try:
        with on_the_wire(call), client.messages.create(**_request(call), stream=True) as stream:
            asked.headers(stream.response.headers)
            return _read(stream, asked)
    except anthropic.APIError as error:
        raise Trouble(error.message, told_by(error)) from error


def _request(call: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens or MOST_TOKENS,
        "messages": [{"role": "user", "content": call.prompt}],
    }
    if call.system is not None:
        request["system"] = call.system
    if call.schema is not None:
        request["output_config"] = {"format": {"type": "json_schema", "schema": _taken(call.schema)}}
    if call.temperature is not None:
        request["extra_body"] = {"temperature": call.temperature}  # newer models take none: the library left it out
    return request


def _taken(schema: dict[str, Any]) -> dict[str, Any]:
    """What this API takes of a schema: its objects closed, bounds of numbers and texts as words to the model.

    The answer is held against all of the schema afterwards. What the library cannot put so goes out as it is, and the
    API says what it does not take; so does an object that may hold anything, which would become one that holds nothing.
    """
    import anthropic

    if has_free_object(schema):
        return schema
    try:
        return anthropic.transform_schema(schema)
    except (AssertionError, KeyError, TypeError, ValueError):
        return schema


def _read(stream: Any, asked: Asked) -> Ended:
    usage, stop = Usage(model=asked.call.model), None
    for event in stream:
        if event.type == "message_start":
            usage = _counted(event.message.usage, Usage(model=event.message.model or usage.model))
            asked.used(usage)
        elif event.type == "content_block_delta":
            if event.delta.type == "text_delta":
                asked.say.text(event.delta.text)
            elif event.delta.type == "thinking_delta":
                asked.say.thinking(event.delta.thinking)
        elif event.type == "message_delta":
            stop = event.delta.stop_reason or stop
            usage = _counted(event.usage, usage)
        elif event.type == "message_stop":
            break
    asked.used(usage)
    if stop is None:
        raise broke_off()
    return Ended(stop, *_STOPS.get(stop, (None, "")))


def _counted(told: Any, before: Usage) -> Usage:
    """What an event counts, each number for the whole message so far. Cached tokens are not in `input_tokens`."""

    def number(name: str, known: int) -> int:
        value = getattr(told, name, None)
        return value if isinstance(value, int) else known

    kept = getattr(getattr(told, "cache_creation", None), "ephemeral_1h_input_tokens", None)
    thought = getattr(getattr(told, "output_tokens_details", None), "thinking_tokens", None)
    return Usage(
        model=before.model,
        input_tokens=number("input_tokens", before.input_tokens),
        output_tokens=number("output_tokens", before.output_tokens),
        cache_read_tokens=number("cache_read_input_tokens", before.cache_read_tokens),
        cache_write_tokens=number("cache_creation_input_tokens", before.cache_write_tokens),
        cache_write_1h_tokens=kept if isinstance(kept, int) else before.cache_write_1h_tokens,
        reasoning_tokens=thought if isinstance(thought, int) else before.reasoning_tokens,
    )
