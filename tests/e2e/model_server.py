"""A model server on loopback for the tests: the Anthropic Messages API, streaming, from a script.

Format: https://docs.anthropic.com/en/api/messages-streaming. It plays one conversation: each call that offers tools
takes the next step of the script; other calls (titles, checks) get a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

USAGE = {"input_tokens": 1_000, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3_000}
OUTPUT_TOKENS = 50
ERROR_TYPES = {403: "permission_error", 529: "overloaded_error"}


@dataclass(slots=True)
class Step:
    """One answer of the model: words, then perhaps a tool call; or an error."""

    text: str = ""
    tool: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    wait: asyncio.Event | None = None
    """Answer only once this is set."""


@dataclass(slots=True)
class ModelServer:
    steps: list[Step]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the calls that took a step."""

    async def messages(self, request: Request) -> Response:
        body = await request.json()
        if not body.get("tools"):
            return StreamingResponse(_stream(body, Step(text="ok")), media_type="text/event-stream")
        step = self.steps[min(len(self.requests), len(self.steps) - 1)]
        self.requests.append(body)
        if step.wait is not None:
            await step.wait.wait()
        if step.status != 200:
            error = {"type": ERROR_TYPES[step.status], "message": "refused by the script"}
            return JSONResponse({"type": "error", "error": error}, status_code=step.status)
        return StreamingResponse(_stream(body, step), media_type="text/event-stream")

    async def count(self, request: Request) -> Response:
        return JSONResponse({"input_tokens": 100})

    async def other(self, request: Request) -> Response:
        return JSONResponse({})


async def _stream(body: dict[str, Any], step: Step) -> AsyncIterator[bytes]:
    blocks: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if step.text:
        blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": step.text}))
    if step.tool is not None:
        start = {"type": "tool_use", "id": f"toolu_{id(step):x}", "name": step.tool, "input": {}}
        blocks.append((start, {"type": "input_json_delta", "partial_json": json.dumps(step.input)}))
    message = {
        "id": f"msg_{id(step):x}_{len(json.dumps(body))}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 1},
    }
    yield _frame({"type": "message_start", "message": message})
    for index, (start, delta) in enumerate(blocks):
        yield _frame({"type": "content_block_start", "index": index, "content_block": start})
        yield _frame({"type": "content_block_delta", "index": index, "delta": delta})
        yield _frame({"type": "content_block_stop", "index": index})
    reason = "tool_use" if step.tool is not None else "end_turn"
    end = {"stop_reason": reason, "stop_sequence": None}
    yield _frame({"type": "message_delta", "delta": end, "usage": {"output_tokens": OUTPUT_TOKENS}})
    yield _frame({"type": "message_stop"})


def _frame(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


@contextlib.asynccontextmanager
async def model_server(steps: list[Step]) -> AsyncIterator[ModelServer]:
    """Serve a script on a free port of the loopback address."""
    script = ModelServer(steps)
    routes = [
        Route("/v1/messages", script.messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", script.count, methods=["POST"]),
        Route("/{rest:path}", script.other, methods=["GET", "POST", "HEAD"]),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    script.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield script
    finally:
        server.should_exit = True
        await serving
