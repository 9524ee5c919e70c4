"""Asking by the Gemini API. https://ai.google.dev/api/generate-content"""

from __future__ import annotations

from typing import Any

from engine.agents.llm.asking import NOT_GIVEN, Asked, Ended, Trouble, broke_off, on_the_wire
from engine.agents.llm.failures import Told
from engine.model import Failure, Usage

CLIENT = "google-genai"

_CUT = (Failure.BAD_OUTPUT, "the answer was cut at max_tokens")


def ask(asked: Asked) -> Ended:
    """Ask, tell the answer as it comes, and return why it ended. Raises `Trouble`."""
    from google import genai
    from google.genai import errors, types

    call = asked.call
    options = types.HttpOptions(
        base_url=call.base_url,
        timeout=round(call.idle * 1_000),
        retry_options=types.HttpRetryOptions(attempts=1),
        headers={"X-Server-Timeout": "3600"},  # else the library asks the server to cut a whole answer at `idle`
    )
    client = genai.Client(api_key=asked.key or NOT_GIVEN, vertexai=False, http_options=options)
    try:
        with on_the_wire(call):
            config = types.GenerateContentConfig(**_config(call))
            return _read(
                client.models.generate_content_stream(model=call.model, contents=call.prompt, config=config), asked
            )
    except errors.APIError as error:
        headers = getattr(error.response, "headers", None) or {}
        told = Told(error.code, error.details, {name.lower(): value for name, value in headers.items()})
        raise Trouble(error.message or "", told) from error
    except errors.UnknownApiResponseError as error:
        raise broke_off() from error


def _config(call: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
    if call.system is not None:
        config["system_instruction"] = call.system
    if call.max_tokens is not None:
        config["max_output_tokens"] = call.max_tokens
    if call.temperature is not None:
        config["temperature"] = call.temperature
    if call.schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": call.schema}
    return config


def _read(chunks: Any, asked: Asked) -> Ended:
    stop, blocked = None, None
    for chunk in chunks:
        if chunk.usage_metadata is not None:
            asked.used(_usage(chunk, asked.call.model))
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            blocked = _name(feedback.block_reason)
        for candidate in (chunk.candidates or [])[:1]:
            for part in (candidate.content.parts if candidate.content else None) or []:
                if part.text:
                    (asked.say.thinking if part.thought else asked.say.text)(part.text)
            stop = _name(candidate.finish_reason) or stop
    if blocked is not None:
        return Ended(blocked, Failure.BAD_OUTPUT, f"the provider refused the prompt: {blocked}")
    if stop is None:
        raise broke_off()
    if stop == "STOP":
        return Ended(stop)
    return Ended(stop, *(_CUT if stop == "MAX_TOKENS" else (Failure.BAD_OUTPUT, f"the answer was stopped: {stop}")))


def _name(word: Any) -> str | None:
    """An enumeration's word, also one that the library does not know yet."""
    return None if word is None else str(getattr(word, "value", word))


def _usage(chunk: Any, model: str) -> Usage:
    """Cached tokens are in `promptTokenCount`, thoughts are not in `candidatesTokenCount`."""
    told = chunk.usage_metadata
    read = told.cached_content_token_count or 0
    return Usage(
        model=chunk.model_version or model,
        input_tokens=max(0, (told.prompt_token_count or 0) - read),
        output_tokens=(told.candidates_token_count or 0) + (told.thoughts_token_count or 0),
        cache_read_tokens=read,
        reasoning_tokens=told.thoughts_token_count or 0,
    )
