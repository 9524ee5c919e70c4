"""Asking by the chat completions API, as OpenAI-compatible servers speak it: Ollama, vLLM, llama.cpp and many more.

https://platform.openai.com/docs/api-reference/chat-streaming. Of what only some servers send, the names are those of
vLLM and DeepSeek (`reasoning_content`) and of Ollama and OpenRouter (`reasoning`).
"""

from __future__ import annotations

from typing import Any

from engine.agents.llm.answer import is_closed
from engine.agents.llm.asking import NOT_GIVEN, Asked, Ended, Trouble, broke_off, on_the_wire, timeouts, told_by
from engine.model import Failure, Usage

CLIENT = "openai"

_STOPS = {
    "length": (Failure.BAD_OUTPUT, "the answer was cut at max_tokens"),
    "content_filter": (Failure.BAD_OUTPUT, "the provider's filter stopped the answer"),
}


def ask(asked: Asked) -> Ended:
    """Ask, tell the answer as it comes, and return why it ended. Raises `Trouble`."""
    import openai

    call = asked.call
    client = openai.OpenAI(
        api_key=asked.key or NOT_GIVEN, base_url=call.base_url, max_retries=0, timeout=timeouts(call)
    )
    try:
        with on_the_wire(call), client.chat.completions.create(**_request(call), stream=True) as stream:
            asked.headers(stream.response.headers)
            return _read(stream, asked)
    except openai.APIError as error:
        raise Trouble(error.message, told_by(error)) from error


def _request(call: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": call.prompt}]
    if call.system is not None:
        messages.insert(0, {"role": "system", "content": call.system})
    request: dict[str, Any] = {
        "model": call.model,
        "messages": messages,
        "stream_options": {"include_usage": True},
    }
    if call.max_tokens is not None:
        request["max_tokens"] = call.max_tokens
    if call.temperature is not None:
        request["temperature"] = call.temperature
    if call.schema is not None:
        form = {"name": "answer", "schema": call.schema, "strict": is_closed(call.schema)}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    return request


def _read(stream: Any, asked: Asked) -> Ended:
    stop, refused = None, ""
    for chunk in stream:
        if chunk.usage is not None:
            asked.used(_usage(chunk, asked.call.model))
        for choice in chunk.choices[:1]:
            delta = choice.delta
            if thought := getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None):
                asked.say.thinking(str(thought))
            if delta.content:
                asked.say.text(delta.content)
            refused += delta.refusal or ""
            stop = choice.finish_reason or stop
    if stop is None:
        raise broke_off()
    if refused:
        return Ended("refusal", Failure.BAD_OUTPUT, f"the model refused to answer: {' '.join(refused.split())[:200]}")
    return Ended(stop, *_STOPS.get(stop, (None, "")))


def _usage(chunk: Any, model: str) -> Usage:
    """Cached tokens are in `prompt_tokens`: they are told apart here. Some servers tell of none."""
    told = chunk.usage
    read = getattr(told.prompt_tokens_details, "cached_tokens", None) or 0
    return Usage(
        model=chunk.model or model,
        input_tokens=max(0, (told.prompt_tokens or 0) - read),
        output_tokens=told.completion_tokens or 0,
        cache_read_tokens=read,
        reasoning_tokens=getattr(told.completion_tokens_details, "reasoning_tokens", None) or 0,
    )
