"""The API as a Starlette application: a route for each call of the client. JSON, and server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from engine.decision import Reply
from engine.engine import Engine
from engine.errors import HeadwayError, NotFoundError, UsageError
from engine.model import ALL, Order, Verb, Wanted
from engine.server import streams
from engine.server.wire import Shutdown, UndoRequest, to_wire
from engine.sessions import AttachRequest, DetachRequest
from engine.upkeep.wire import Prune

T = TypeVar("T")

BODY_LIMIT = 128 << 20  #: bytes of a request; the longest submission that is sensible is far below it
LIST_LIMIT = 10_000  #: entries of one answer, whatever is asked for
OPERATOR = "operator"  #: who acts, for whoever may open the socket: it is the home's owner


def make_app(engine: Engine) -> Starlette:
    """The routes over one engine."""
    api = _Api(engine)
    return Starlette(
        routes=[
            Route("/v1/status", api.status),
            Route("/v1/jobs", api.list_jobs),
            Route("/v1/jobs", api.submit, methods=["POST"]),
            Route("/v1/order", api.order),
            Route("/v1/jobs/{job}", api.job),
            Route("/v1/jobs/{job}/explain", api.explain),
            Route("/v1/jobs/{job}/log", api.log),
            Route("/v1/jobs/{job}/output", api.output),
            Route("/v1/jobs/{job}/diff", api.diff),
            Route("/v1/jobs/{job}/answer", api.answer),
            Route("/v1/jobs/{job}/attach", api.attach, methods=["POST"]),
            Route("/v1/jobs/{job}/detach", api.detach, methods=["POST"]),
            Route("/v1/actions", api.actions),
            Route("/v1/actions", api.act, methods=["POST"]),
            Route("/v1/undo", api.undo, methods=["POST"]),
            Route("/v1/decisions", api.decisions),
            Route("/v1/decisions/{card}", api.decision),
            Route("/v1/decisions/{card}", api.reply, methods=["POST"]),
            Route("/v1/rules", api.rules),
            Route("/v1/rules/{rule}", api.drop_rule, methods=["DELETE"]),
            Route("/v1/estimates", api.estimates),
            Route("/v1/batches", api.batches),
            Route("/v1/caps", api.caps),
            Route("/v1/breakers", api.breakers),
            Route("/v1/prune", api.prune, methods=["POST"]),
            Route("/v1/events", api.events),
            Route("/v1/limits", api.limits),
            Route("/v1/agents", api.agents),
            Route("/v1/sessions", api.sessions),
            Route("/v1/shutdown", api.shutdown, methods=["POST"]),
        ],
        exception_handlers={HeadwayError: _refuse, 404: _unknown, 405: _unknown},
    )


class _Api:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def status(self, request: Request) -> Response:
        return _json(await self._engine.status())

    async def list_jobs(self, request: Request) -> Response:
        if ids := request.query_params.get("ids"):
            return _json(await self._engine.rows(_ids(ids)))
        limit = _number(request, "limit", 50)
        return _json(await self._engine.list_jobs(request.query_params.get("filter", ""), min(limit or 50, LIST_LIMIT)))

    async def submit(self, request: Request) -> Response:
        return _json(await self._engine.submit(await _body(request, Wanted)), 201)

    async def order(self, request: Request) -> Response:
        ids = await self._engine.order(request.query_params.get("filter", ""))
        return Response(ids, media_type="application/octet-stream")

    async def job(self, request: Request) -> Response:
        return _json(await self._engine.job(_job(request)))

    async def log(self, request: Request) -> Response:
        job, number = _job(request), _number(request, "attempt", None)
        follow = request.query_params.get("follow") == "1"
        # What is wrong is said before the stream begins: afterwards there is no status line to say it in.
        await (self._engine.row(job) if follow and number is None else self._engine.attempt_files(job, number))
        after, tail = _number(request, "after", None), _number(request, "tail", None)
        return _stream(streams.log(self._engine, job, number, after, tail, follow=follow))

    async def output(self, request: Request) -> Response:
        """What the agent printed, byte for byte."""
        _, run = await self._engine.attempt_files(_job(request), _number(request, "attempt", None))
        return StreamingResponse(streams.content(run.stdout), media_type="application/octet-stream")

    async def diff(self, request: Request) -> Response:
        _, run = await self._engine.attempt_files(_job(request), _number(request, "attempt", None))
        return StreamingResponse(streams.content(run.diff), media_type="text/x-diff")

    async def answer(self, request: Request) -> Response:
        """The whole of the agent's last word, where the database holds only its beginning."""
        job, number = _job(request), _number(request, "attempt", None)
        tried, run = await self._engine.attempt_files(job, number)
        if (file := run.answer) is not None:
            return StreamingResponse(streams.content(file), media_type="text/plain; charset=utf-8")
        return Response((tried.result or "").encode(), media_type="text/plain; charset=utf-8")

    async def attach(self, request: Request) -> Response:
        """Answers once the session is the caller's: what runs in it is parked first."""
        body = await _body(request, AttachRequest)
        return _json(await self._engine.attach(_job(request), body, OPERATOR))

    async def detach(self, request: Request) -> Response:
        return _json(await self._engine.detach(_job(request), (await _body(request, DetachRequest)).marker))

    async def act(self, request: Request) -> Response:
        return _json(await self._engine.act(await _body(request, Order), OPERATOR))

    async def undo(self, request: Request) -> Response:
        body = await _body(request, UndoRequest)
        return _json(await self._engine.undo(body.action, OPERATOR, dry_run=body.dry_run))

    async def actions(self, request: Request) -> Response:
        """What the operator did, newest first."""
        limit = min(_number(request, "limit", 20) or 20, LIST_LIMIT)
        return _json(await self._engine.store.read.actions(limit))

    async def explain(self, request: Request) -> Response:
        return _json(await self._engine.explain(_job(request)))

    async def decisions(self, request: Request) -> Response:
        """What waits for the operator; with `limit`, the newest cards, answered ones too."""
        limit = _number(request, "limit", None)
        return _json(await self._engine.inbox.cards(None if limit is None else min(limit, LIST_LIMIT)))

    async def decision(self, request: Request) -> Response:
        return _json(await self._engine.inbox.card(_named(request, "card")))

    async def reply(self, request: Request) -> Response:
        chosen = await _body(request, Reply)
        return _json(await self._engine.inbox.answer(_named(request, "card"), chosen, OPERATOR))

    async def rules(self, request: Request) -> Response:
        return _json(await self._engine.inbox.rules())

    async def drop_rule(self, request: Request) -> Response:
        return _json(await self._engine.inbox.drop_rule(_named(request, "rule"), OPERATOR))

    async def estimates(self, request: Request) -> Response:
        """When jobs are expected to start and finish."""
        return _json(await self._engine.foresight.of(_ids(request.query_params.get("ids", ""))))

    async def batches(self, request: Request) -> Response:
        limit = min(_number(request, "limit", 20) or 20, LIST_LIMIT)
        return _json(await self._engine.store.read.batches(limit))

    async def caps(self, request: Request) -> Response:
        return _json(await self._engine.caps())

    async def breakers(self, request: Request) -> Response:
        return _json(await self._engine.breakers())

    async def prune(self, request: Request) -> Response:
        return _json(await self._engine.prune(await _body(request, Prune), OPERATOR))

    async def events(self, request: Request) -> Response:
        after = _number(request, "after", None)
        if _is_number(last := request.headers.get("last-event-id", "")):
            after = int(last)
        if request.query_params.get("follow") == "1":
            progress = request.query_params.get("progress") == "1"
            start = self._engine.hub.seq if after is None else after
            return _stream(streams.events(self._engine, start, progress=progress))
        read, limit = self._engine.store.read, min(_number(request, "limit", 50) or 50, LIST_LIMIT)
        job = _number(request, "job", None)
        if after is None and job is None:
            return _json(await read.newest_events(limit))
        return _json(await read.events(after or 0, limit, job))

    async def limits(self, request: Request) -> Response:
        return _json(await self._engine.limits())

    async def agents(self, request: Request) -> Response:
        name, check = request.query_params.get("name"), request.query_params.get("check") == "1"
        return _json(await self._engine.agents_here(name, check=check))

    async def sessions(self, request: Request) -> Response:
        """Conversations: those of a job, or those used last."""
        limit = min(_number(request, "limit", 50) or 50, LIST_LIMIT)
        return _json(await self._engine.sessions(_number(request, "job", None), limit))

    async def shutdown(self, request: Request) -> Response:
        body = await _body(request, Shutdown)
        if not body.drain:
            self._engine.asked_to_stop.set()
        else:
            await self._engine.act(Order(verb=Verb.DRAIN, scope=ALL), OPERATOR)
        return _json({"stopping": True}, 202)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _stream(frames: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(frames, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _body(request: Request, kind: type[T]) -> T:
    """The request's body as that type, raising `UsageError` with the path of what is wrong in it."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > BODY_LIMIT:
                raise UsageError(f"the request is larger than {BODY_LIMIT >> 20} MiB")
            parts.append(part)
    except ClientDisconnect:
        raise UsageError("the request broke off") from None
    try:
        return msgspec.json.decode(b"".join(parts) or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"request body: {error}") from None


def _job(request: Request) -> int:
    return _named(request, "job")


def _named(request: Request, what: str) -> int:
    text = request.path_params[what]
    if not _is_number(text):
        raise NotFoundError(f"there is no {what} {text[:40]}")
    return int(text)


def _number(request: Request, name: str, default: int | None) -> int | None:
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not _is_number(text):
        raise UsageError(f"{name}={text} is not a number")
    return int(text)


def _is_number(text: str) -> bool:
    """Digits that fit into SQLite's integers."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _ids(text: str) -> list[int]:
    words = text.split(",")
    if not all(map(_is_number, words)):
        raise UsageError("ids must be numbers with commas between them")
    return [int(word) for word in words]


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadwayError)
    return _json(to_wire(error), error.status)


async def _unknown(request: Request, error: Exception) -> Response:
    return await _refuse(request, NotFoundError(f"no such call: {request.method} {request.url.path}"))
