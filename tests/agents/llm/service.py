"""A service on loopback that answers model calls from a script, in the formats of four APIs.

Formats: docs.anthropic.com (Messages, streaming), platform.openai.com (Responses, chat completions, streaming) and
ai.google.dev (generateContent, streaming). A step that is not an answer is an error as those services word it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INPUT, CACHED, OUTPUT, THOUGHT = 1_000, 3_000, 50, 7


@dataclass
class Step:
    """One answer, or what happens instead."""

    text: str = ""
    thinking: str = ""
    stop: str | None = None
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    instead: str = ""
    """After half of the text: `drop` the line, `hang`, `wait` for the test, `error` event, `garbage`, silent `end`."""
    error: Any = None
    """The event for `instead: error`."""
    refusal: str = ""


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, steps: list[Step]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps = steps
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        """Path, headers and body of each request."""
        self.asked = threading.Event()
        """Set with the first request."""
        self.over = threading.Event()
        self.gate = threading.Event()
        """Opened by the test, for a step that waits."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self) -> Step:
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that has gone is none of the test's business."""


@contextlib.contextmanager
def service(*steps: Step) -> Iterator[Service]:
    """Serve a script; its last step is repeated."""
    one = Service(list(steps))
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield one
    finally:
        one.over.set()
        one.shutdown()
        thread.join()
        one.server_close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class _Broken(Exception):  # noqa: N818
    """The answer ends here."""


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers, body))
        step = self.server.take()
        self.server.asked.set()
        if step.instead == "hang" and not step.text:
            self.server.over.wait(60)
            self.close_connection = True
            return
        if step.status != 200:
            data = json.dumps(step.body).encode()
            self._head(step, "application/json", len(data))
            self.wfile.write(data)
            return
        self._head(step, "text/event-stream", None)
        self.close_connection = True
        with contextlib.suppress(_Broken):
            for event, data in self._answer(step, body):
                self._event(event, data)

    def _head(self, step: Step, kind: str, length: int | None) -> None:
        self.send_response(step.status)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        for name, value in step.headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("content-length", str(length))
        elif step.instead == "drop":
            self.send_header("content-length", "1000000")  # more than will come
        self.end_headers()

    def _event(self, event: str, data: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        self.wfile.write((f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode())
        self.wfile.flush()

    def _answer(self, step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        if self.path.endswith("/messages"):
            return self._messages(step, body)
        if self.path.endswith("/responses"):
            return self._responses(step, body)
        if self.path.endswith("/chat/completions"):
            return self._chat(step, body)
        return self._gemini(step)

    def _pieces(self, step: Step) -> Iterator[str]:
        """The text in pieces; half-way, what the script has instead of the rest."""
        pieces = [step.text[i : i + 7] for i in range(0, len(step.text), 7)]
        for number, piece in enumerate(pieces):
            if step.instead and number == (len(pieces) + 1) // 2:
                if step.instead == "wait":
                    self.server.gate.wait(60)
                    step.instead = ""
                    yield piece
                    continue
                if step.instead == "hang":
                    self.server.over.wait(60)
                if step.instead == "garbage":
                    self._event("message_delta", "{nothing that JSON knows")
                if step.instead == "error":
                    event = step.error.get("type", "") if isinstance(step.error, dict) else ""
                    self._event(event, step.error)
                raise _Broken
            yield piece

    def _messages(self, step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        usage = {"input_tokens": INPUT, "cache_read_input_tokens": CACHED, "cache_creation_input_tokens": 0}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1},
        }  # fmt: skip
        yield "message_start", {"type": "message_start", "message": message}
        yield "ping", {"type": "ping"}
        if step.thinking:
            start = {"type": "thinking", "thinking": "", "signature": ""}
            yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": start}
            delta = {"type": "thinking_delta", "thinking": step.thinking}
            yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
        start = {"type": "text", "text": ""}
        yield "content_block_start", {"type": "content_block_start", "index": 1, "content_block": start}
        for piece in self._pieces(step):
            delta = {"type": "text_delta", "text": piece}
            yield "content_block_delta", {"type": "content_block_delta", "index": 1, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": 1}
        end = {"stop_reason": step.stop or "end_turn", "stop_sequence": None}
        yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": OUTPUT}}
        yield "message_stop", {"type": "message_stop"}

    def _responses(self, step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        base = {"id": "resp_1", "object": "response", "created_at": 1, "model": body["model"], "output": []}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": 1}

        def event(kind: str, **more: Any) -> tuple[str, Any]:
            return kind, {"type": kind, "sequence_number": 1, **more}

        yield event("response.created", response={**base, "status": "in_progress"})
        if step.thinking:
            yield event("response.reasoning_summary_text.delta", **{**place, "summary_index": 0}, delta=step.thinking)
        for piece in self._pieces(step):
            yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
        if step.refusal:
            yield event("response.refusal.delta", **place, delta=step.refusal)
        usage = {
            "input_tokens": INPUT + CACHED, "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
            "output_tokens": OUTPUT, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT + CACHED + OUTPUT,
        }  # fmt: skip
        status = "incomplete" if step.stop else "completed"
        cut = {"reason": step.stop} if step.stop else None
        yield event(
            f"response.{status}", response={**base, "status": status, "incomplete_details": cut, "usage": usage}
        )

    def _chat(self, step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        def chunk(delta: dict[str, Any], stop: str | None = None) -> tuple[str, Any]:
            choice = {"index": 0, "delta": delta, "finish_reason": stop}
            return "", {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"],
                        "choices": [choice]}  # fmt: skip

        yield chunk({"role": "assistant", "content": ""})
        if step.thinking:
            yield chunk({"reasoning_content": step.thinking})
        for piece in self._pieces(step):
            yield chunk({"content": piece})
        if step.refusal:
            yield chunk({"refusal": step.refusal})
        yield chunk({}, step.stop or "stop")
        usage = {
            "prompt_tokens": INPUT + CACHED, "completion_tokens": OUTPUT, "total_tokens": INPUT + CACHED + OUTPUT,
            "prompt_tokens_details": {"cached_tokens": CACHED},
        }  # fmt: skip
        yield "", {**chunk({})[1], "choices": [], "usage": usage}
        yield "", "[DONE]"

    def _gemini(self, step: Step) -> Iterator[tuple[str, Any]]:
        usage = {"promptTokenCount": INPUT + CACHED, "cachedContentTokenCount": CACHED,
                 "candidatesTokenCount": OUTPUT, "thoughtsTokenCount": THOUGHT}  # fmt: skip

        def chunk(parts: list[dict[str, Any]], stop: str | None = None) -> tuple[str, Any]:
            candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
            if stop:
                candidate["finishReason"] = stop
            return "", {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-pro"}

        if step.refusal:
            yield "", {"promptFeedback": {"blockReason": step.refusal}, "usageMetadata": usage}
            return
        if step.thinking:
            yield chunk([{"text": step.thinking, "thought": True}])
        for piece in self._pieces(step):
            yield chunk([{"text": piece}])
        yield chunk([{"text": ""}], step.stop or "STOP")
