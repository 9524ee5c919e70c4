"""What four kinds of model APIs answer, streaming: Anthropic Messages, OpenAI Responses and chat, Gemini.

Formats: https://docs.anthropic.com/en/api/messages-streaming, https://ai.google.dev/api/generate-content,
https://platform.openai.com/docs/api-reference/responses-streaming and .../chat-streaming. The headers of limits are
those that the agents' own programs read.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

FRESH, CACHED, WRITTEN, OUTPUT = 1_000, 3_000, 200, 50  #: tokens of every answer; only Anthropic tells what is written
PROMPT = FRESH + CACHED

Body = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool call as one API's clients understand it."""

    id: str
    name: str
    input: Any


@dataclass(frozen=True)
class Refusal:
    """An error: its status, headers and body."""

    status: int
    headers: dict[str, str]
    body: Body


class Dialect(ABC):
    """One API. `shell` and `write` are the tools that its agents offer, with how they take their arguments."""

    @abstractmethod
    def offered(self, body: Body) -> set[str]:
        """The names of the tools that a call offers the model; none for a title or a check."""

    @abstractmethod
    def shell(self, command: str) -> tuple[str, Any]: ...

    @abstractmethod
    def write(self, path: str, content: str) -> tuple[str, Any]: ...

    @abstractmethod
    def answer(self, body: Body, text: str, call: Call | None) -> Iterator[bytes]: ...

    @abstractmethod
    def refuse(self, status: int) -> Refusal:
        """An error of that status, which it says will not pass soon."""

    @abstractmethod
    def limit(self, resets_at: int) -> Refusal:
        """A window that is used up until then, in epoch seconds where the API can say that."""

    def told(self, body: Body) -> str:
        """The conversation of a call."""
        return json.dumps(body)


class Anthropic(Dialect):
    ERRORS: ClassVar = {
        401: "authentication_error",
        403: "permission_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }

    def offered(self, body: Body) -> set[str]:
        return {tool.get("name", "") for tool in body.get("tools") or []}

    def shell(self, command: str) -> tuple[str, Any]:
        return "Bash", {"command": command, "description": "run it", "timeout": 600_000}

    def write(self, path: str, content: str) -> tuple[str, Any]:
        return "Write", {"file_path": path, "content": content}

    def answer(self, body: Body, text: str, call: Call | None) -> Iterator[bytes]:
        blocks: list[tuple[Body, Body]] = []
        if text:
            blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": text}))
        if call is not None:
            start = {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}
            blocks.append((start, {"type": "input_json_delta", "partial_json": json.dumps(call.input)}))
        usage = {"input_tokens": FRESH, "cache_creation_input_tokens": WRITTEN, "cache_read_input_tokens": CACHED}
        message = {
            "id": f"msg_{time.time_ns():x}", "type": "message", "role": "assistant", "model": body.get("model"),
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1},
        }  # fmt: skip
        yield _named({"type": "message_start", "message": message})
        for index, (start, delta) in enumerate(blocks):
            yield _named({"type": "content_block_start", "index": index, "content_block": start})
            yield _named({"type": "content_block_delta", "index": index, "delta": delta})
            yield _named({"type": "content_block_stop", "index": index})
        end = {"stop_reason": "tool_use" if call is not None else "end_turn", "stop_sequence": None}
        yield _named({"type": "message_delta", "delta": end, "usage": {"output_tokens": OUTPUT}})
        yield _named({"type": "message_stop"})

    def refuse(self, status: int) -> Refusal:
        error = {"type": self.ERRORS[status], "message": "refused by the script"}
        return Refusal(status, {}, {"type": "error", "error": error})

    def limit(self, resets_at: int) -> Refusal:
        head = "anthropic-ratelimit-unified"
        headers = {
            f"{head}-status": "rejected", f"{head}-representative-claim": "five_hour", f"{head}-reset": str(resets_at),
            f"{head}-5h-status": "rejected", f"{head}-5h-utilization": "1.0", f"{head}-5h-reset": str(resets_at),
        }  # fmt: skip
        return Refusal(429, headers, self.refuse(429).body)


class Responses(Dialect):
    def offered(self, body: Body) -> set[str]:
        return {str(tool.get("name") or tool.get("type")) for tool in body.get("tools") or []}

    def shell(self, command: str) -> tuple[str, Any]:
        return "exec_command", {"cmd": command}

    def write(self, path: str, content: str) -> tuple[str, Any]:
        added = "\n".join(f"+{line}" for line in content.splitlines())
        return "apply_patch", f"*** Begin Patch\n*** Add File: {path}\n{added}\n*** End Patch"

    def answer(self, body: Body, text: str, call: Call | None) -> Iterator[bytes]:
        items: list[Body] = []
        if text:
            part = {"type": "output_text", "text": text, "annotations": []}
            items.append({"type": "message", "id": f"msg_{time.time_ns():x}", "role": "assistant", "content": [part]})
        if call is not None and isinstance(call.input, str):
            items.append(
                {"type": "custom_tool_call", "id": f"ctc_{call.id}", "call_id": f"call_{call.id}", "name": call.name,
                 "input": call.input}
            )  # fmt: skip
        elif call is not None and call.name == "tool_search":
            items.append(
                {"type": "tool_search_call", "id": f"tsc_{call.id}", "call_id": f"call_{call.id}",
                 "execution": "client", "arguments": call.input}
            )  # fmt: skip
        elif call is not None:
            space, _, name = call.name.rpartition("/")
            items.append(
                {"type": "function_call", "id": f"fc_{call.id}", "call_id": f"call_{call.id}", "name": name,
                 **({"namespace": space} if space else {}), "arguments": json.dumps(call.input)}
            )  # fmt: skip
        usage = {
            "input_tokens": PROMPT, "input_tokens_details": {"cached_tokens": CACHED}, "output_tokens": OUTPUT,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": PROMPT + OUTPUT,
        }  # fmt: skip
        base = {"id": f"resp_{time.time_ns():x}", "object": "response", "model": body.get("model"), "output": []}
        yield _named({"type": "response.created", "response": {**base, "status": "in_progress"}})
        for index, item in enumerate(items):
            done = {**item, "status": "completed"}
            yield _named({"type": "response.output_item.done", "output_index": index, "item": done})
        done = {**base, "status": "completed", "output": items, "usage": usage}
        yield _named({"type": "response.completed", "response": done})

    def refuse(self, status: int) -> Refusal:
        code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}[status]
        return Refusal(status, {}, {"error": {"message": "refused", "type": "invalid_request_error", "code": code}})

    def limit(self, resets_at: int) -> Refusal:
        head = "x-codex-primary"
        headers = {
            f"{head}-used-percent": "100", f"{head}-window-minutes": "300", f"{head}-reset-at": str(resets_at),
        }  # fmt: skip
        error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_at": resets_at}
        return Refusal(429, headers, {"error": {**error, "plan_type": "plus", "resets_in_seconds": 3}})


class Chat(Dialect):
    """As opencode's client speaks it. `retry-after-ms` makes its five tries short."""

    def offered(self, body: Body) -> set[str]:
        return {str((tool.get("function") or {}).get("name")) for tool in body.get("tools") or []}

    def shell(self, command: str) -> tuple[str, Any]:
        return "bash", {"command": command, "description": "run it", "timeout": 600_000}

    def write(self, path: str, content: str) -> tuple[str, Any]:
        return "write", {"filePath": path, "content": content}

    def answer(self, body: Body, text: str, call: Call | None) -> Iterator[bytes]:
        common = {"id": f"chatcmpl-{time.time_ns():x}", "object": "chat.completion.chunk", "model": body.get("model")}

        def chunk(delta: Body, reason: str | None = None) -> bytes:
            return _frame({**common, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

        yield chunk({"role": "assistant", "content": text})
        if call is not None:
            function = {"name": call.name, "arguments": json.dumps(call.input)}
            yield chunk(
                {"tool_calls": [{"index": 0, "id": f"call_{call.id}", "type": "function", "function": function}]}
            )
        yield chunk({}, "tool_calls" if call is not None else "stop")
        details = {"prompt_tokens_details": {"cached_tokens": CACHED}}
        usage = {"prompt_tokens": PROMPT, "completion_tokens": OUTPUT, "total_tokens": PROMPT + OUTPUT, **details}
        yield _frame({**common, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def refuse(self, status: int) -> Refusal:
        return Refusal(status, {"retry-after-ms": "1"}, {"error": {"message": "refused", "type": "x", "code": None}})

    def limit(self, resets_at: int) -> Refusal:
        error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_at": resets_at}
        return Refusal(429, {"retry-after-ms": "1"}, {"error": error})


class Gemini(Dialect):
    STATUS: ClassVar = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}

    def offered(self, body: Body) -> set[str]:
        return {one["name"] for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []}

    def shell(self, command: str) -> tuple[str, Any]:
        return "run_shell_command", {"command": command, "description": "run it"}

    def write(self, path: str, content: str) -> tuple[str, Any]:
        return "write_file", {"file_path": path, "content": content}

    def answer(self, body: Body, text: str, call: Call | None) -> Iterator[bytes]:
        parts: list[Body] = [{"text": text}] if text else []
        if call is not None:
            parts.append({"functionCall": {"id": call.id, "name": call.name, "args": call.input}})
        usage = {
            "promptTokenCount": PROMPT, "cachedContentTokenCount": CACHED, "candidatesTokenCount": OUTPUT,
            "totalTokenCount": PROMPT + OUTPUT,
        }  # fmt: skip
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}
        yield _frame({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-pro"})

    def refuse(self, status: int) -> Refusal:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        details = [{"@type": kind, "retryDelay": "3600s"}] if status == 429 else []
        error = {"code": status, "message": "refused", "status": self.STATUS[status], "details": details}
        return Refusal(status, {}, {"error": error})

    def limit(self, resets_at: int) -> Refusal:
        quota = {"quotaMetric": "requests", "quotaId": "GenerateRequestsPerDayPerProjectPerModel"}
        details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [quota]}]
        return Refusal(
            429, {}, {"error": {"code": 429, "message": "x", "status": self.STATUS[429], "details": details}}
        )


def _named(event: Body) -> bytes:
    return f"event: {event['type']}\n".encode() + _frame(event)


def _frame(event: Body) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()
