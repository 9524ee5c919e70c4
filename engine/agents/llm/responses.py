"""Asking by the OpenAI Responses API. https://platform.openai.com/docs/api-reference/responses-streaming"""

from __future__ import annotations

from typing import Any

from engine.agents.llm.answer import is_closed
from engine.agents.llm.asking import NOT_GIVEN, Asked, Ended, Trouble, broke_off, on_the_wire, timeouts, told_by
from engine.agents.llm.failures import Told
from engine.model import Failure, Usage

CLIENT = "openai"

_CUTS = {
    "max_output_tokens": "the answer was cut at max_tokens",
    "content_filter": "the provider's filter stopped the answer",
}


def ask(asked: Asked) -> Ended:
    """Ask, tell the answer as it comes, and return why it ended. Raises `Trouble`."""
    import openai

    call = asked.call
    client = openai.OpenAI(
        api_key=asked.key or NOT_GIVEN, base_url=call.base_url, max_retries=0, timeout=timeouts(call)
    )
    try:
        with on_the_wire(call), client.responses.create(**_request(call), stream=True) as stream:
            asked.headers(stream.response.headers)
            return _read(stream, asked)
    except openai.APIError as error:
        raise Trouble(error.message, told_by(error)) from error


def _request(call: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"model": call.model, "input": call.prompt, "store": False}
    if call.system is not None:
        request["instructions"] = call.system
    if call.max_tokens is not None:
        request["max_output_tokens"] = call.max_tokens
    if call.temperature is not None:
        request["temperature"] = call.temperature
    if call.schema is not None:
        form = {"type": "json_schema", "name": "answer", "schema": call.schema, "strict": is_closed(call.schema)}
        request["text"] = {"format": form}
    return request


def _read(stream: Any, asked: Asked) -> Ended:
    refused = ""
    for event in stream:
        match event.type:
            case "response.output_text.delta":
                asked.say.text(event.delta)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                asked.say.thinking(event.delta)
            case "response.refusal.delta":
                refused += event.delta
            case "response.completed" | "response.incomplete" | "response.failed":
                return _ended(event.response, asked, refused)
            case "error":
                body = {"code": event.code, "message": event.message}
                raise Trouble(event.message, Told(None, body, _headers(stream)))
            case _:
                pass
    raise broke_off()


def _ended(response: Any, asked: Asked, refused: str) -> Ended:
    if response.usage is not None:
        asked.used(_usage(response))
    if response.status == "failed":
        error = response.error
        body = {"code": getattr(error, "code", None), "message": getattr(error, "message", None)}
        raise Trouble(str(body["message"] or "the response failed"), Told(None, body))
    if response.status == "incomplete":
        cut = getattr(response.incomplete_details, "reason", None) or "incomplete"
        return Ended(cut, Failure.BAD_OUTPUT, _CUTS.get(cut, f"the answer is not complete: {cut}"))
    if refused:
        return Ended("refusal", Failure.BAD_OUTPUT, f"the model refused to answer: {' '.join(refused.split())[:200]}")
    return Ended(response.status or "completed")


def _usage(response: Any) -> Usage:
    """Cached tokens are in `input_tokens`: they are told apart here."""
    told = response.usage
    details = told.input_tokens_details
    read = getattr(details, "cached_tokens", None) or 0
    written = getattr(details, "cache_write_tokens", None) or 0
    return Usage(
        model=response.model,
        input_tokens=max(0, told.input_tokens - read - written),
        output_tokens=told.output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=getattr(told.output_tokens_details, "reasoning_tokens", None) or 0,
    )


def _headers(stream: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in stream.response.headers.items()}
