"""A model server on loopback for the tests: it plays one scripted conversation in any of the APIs of `dialects`.

Each call that offers tools takes the next step of the script; other calls (titles, checks) get a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.e2e.dialects import Anthropic, Body, Call, Chat, Dialect, Gemini, Refusal, Responses


@dataclass(slots=True)
class Step:
    """One answer of the model: words, then perhaps a tool call; or an error."""

    text: str = ""
    run: str | None = None
    """A command for the agent's shell."""
    write: tuple[str, str] | None = None
    """A path and what the file there is to hold."""
    tool: tuple[str, dict[str, Any]] | None = None
    """A call of any other tool: its name in the agent's own words, and its arguments."""
    status: int = 200
    retry_after: float | None = None
    """Seconds that a refusal says to wait."""
    limit: bool = False
    """The account's window is used up, until `ModelServer.resets_at`."""
    wait: asyncio.Event | None = None
    """Answer only once this is set."""


@dataclass(slots=True)
class ModelServer:
    steps: list[Step]
    url: str = ""
    resets_in: float = 2.0
    """Seconds for which a limit lasts, from when it is first met."""
    resets_at: int | None = None
    requests: list[Body] = field(default_factory=list)
    """Bodies of the calls that took a step."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of the same calls."""
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """A step that waits has been taken."""
    _at: int = 0

    async def answer(self, request: Request, dialect: Dialect) -> Response:
        body = await request.json()
        offered = dialect.offered(body)
        if not offered:
            return _stream(dialect, body, "ok", None)
        step = self._next()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        if step.wait is not None:
            self.met.set()
            await step.wait.wait()
        if step.limit:
            return _refused(dialect.limit(self.resets_at or 0))
        if step.status != 200:
            return _refused(dialect.refuse(step.status), step.retry_after)
        return _stream(dialect, body, step.text, self._call(dialect, step))

    def _next(self) -> Step:
        """The script's next step. A limit is met by every call until it is over, and only then passed."""
        step = self.steps[min(self._at, len(self.steps) - 1)]
        if step.limit:
            if self.resets_at is None:
                self.resets_at = int(time.time() + self.resets_in) + 1
            if time.time() < self.resets_at:
                return step
            self._at += 1
            return self._next()
        self._at += 1
        return step

    def _call(self, dialect: Dialect, step: Step) -> Call | None:
        if step.run is not None:
            name, given = dialect.shell(step.run)
        elif step.write is not None:
            name, given = dialect.write(*step.write)
        elif step.tool is not None:
            name, given = step.tool
        else:
            return None
        return Call(f"{self._at}{time.time_ns():x}", name, given)


def _stream(dialect: Dialect, body: Body, text: str, call: Call | None) -> Response:
    return StreamingResponse(dialect.answer(body, text, call), media_type="text/event-stream")


def _refused(refusal: Refusal, retry_after: float | None = None) -> Response:
    after = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    headers = refusal.headers if retry_after is None else {}
    return JSONResponse(refusal.body, refusal.status, {**headers, **after})


@contextlib.asynccontextmanager
async def model_server(steps: list[Step]) -> AsyncIterator[ModelServer]:
    """Serve a script on a free port of the loopback address."""
    script = ModelServer(steps)
    anthropic, responses, chat, gemini = Anthropic(), Responses(), Chat(), Gemini()

    async def messages(request: Request) -> Response:
        return await script.answer(request, anthropic)

    async def response(request: Request) -> Response:
        return await script.answer(request, responses)

    async def completion(request: Request) -> Response:
        return await script.answer(request, chat)

    async def content(request: Request) -> Response:
        if not request.url.path.endswith(":streamGenerateContent"):
            return JSONResponse({"totalTokens": 100, "candidates": [{"content": {"parts": [{"text": "ok"}]}}]})
        return await script.answer(request, gemini)

    async def other(request: Request) -> Response:
        return JSONResponse({"input_tokens": 100, "data": [], "models": []})

    routes = [
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/responses", response, methods=["POST"]),
        Route("/v1/chat/completions", completion, methods=["POST"]),
        Route("/v1beta/models/{call}", content, methods=["POST"]),
        Route("/{rest:path}", other, methods=["GET", "POST", "HEAD"]),
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
        for step in steps:
            if step.wait is not None:
                step.wait.set()
        server.should_exit = True
        await serving
