"""The API as a Starlette application: a route for each call of the client. JSON, and server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from engine.engine import Engine
from engine.errors import HeadwayError, NotFoundError
from engine.model import ALL, Order, Verb, Wanted
from engine.model.access import Role
from engine.server import streams
from engine.server.auditing import seen_by
from engine.server.http import (
    LIST_LIMIT,
    actor,
    as_json,
    caller_of,
    ids_of,
    is_number,
    job_of,
    read_body,
    read_number,
    refusal,
    require,
    stream,
)
from engine.server.needs import held_to_needs
from engine.server.routes import (
    access,
    cards,
    context,
    forecast,
    gates,
    health,
    limits,
    memory,
    merges,
    nodes,
    notify,
    pipelines,
    races,
    schedules,
    scores,
    skills,
    spend,
    staff,
    tap,
    tax,
    trend,
    triage,
)
from engine.server.routes import routes as routing
from engine.server.wire import Shutdown, UndoRequest
from engine.sessions import AttachRequest, DetachRequest
from engine.upkeep.wire import Prune


def make_app(engine: Engine) -> Starlette:
    """The routes over one engine."""
    return Starlette(
        routes=held_to_needs(_routes(engine), engine.audit),
        exception_handlers={HeadwayError: _refuse, 404: _unknown, 405: _unknown},
    )


def _routes(engine: Engine) -> list[Route]:
    api = _Api(engine)
    return [
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
        Route("/v1/estimates", api.estimates),
        Route("/v1/waits", api.waits),
        Route("/v1/batches", api.batches),
        Route("/v1/caps", api.caps),
        Route("/v1/breakers", api.breakers),
        Route("/v1/prune", api.prune, methods=["POST"]),
        Route("/v1/events", api.events),
        Route("/v1/agents", api.agents),
        Route("/v1/sessions", api.sessions),
        Route("/v1/shutdown", api.shutdown, methods=["POST"]),
        Route("/v1/reload", api.reload, methods=["POST"]),
        *access.routes(engine),
        *cards.routes(engine),
        *notify.routes(engine),
        *routing.routes(engine),
        *forecast.routes(engine),
        *tax.routes(engine),
        *health.routes(engine),
        *tap.routes(engine),
        *limits.routes(engine),
        *trend.routes(engine),
        *races.routes(engine),
        *merges.routes(engine),
        *nodes.routes(engine),
        *pipelines.routes(engine),
        *scores.routes(engine),
        *triage.routes(engine),
        *skills.routes(engine),
        *schedules.routes(engine),
        *spend.routes(engine),
        *memory.routes(engine),
        *context.routes(engine),
        *staff.routes(engine),
        *gates.routes(engine),
    ]


class _Api:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def status(self, request: Request) -> Response:
        return as_json(await self._engine.status())

    async def list_jobs(self, request: Request) -> Response:
        if ids := request.query_params.get("ids"):
            return as_json(await self._engine.rows(ids_of(ids)))
        limit = read_number(request, "limit", 50)
        asked = request.query_params
        found = await self._engine.list_jobs(
            asked.get("filter", ""), min(limit or 50, LIST_LIMIT), asked.get("sort", "")
        )
        return as_json(found)

    async def submit(self, request: Request) -> Response:
        return as_json(await self._engine.submit(await read_body(request, Wanted)), 201)

    async def order(self, request: Request) -> Response:
        ids = await self._engine.order(request.query_params.get("filter", ""), request.query_params.get("sort", ""))
        return Response(ids, media_type="application/octet-stream")

    async def job(self, request: Request) -> Response:
        return as_json(await self._engine.job(job_of(request)))

    async def log(self, request: Request) -> Response:
        job, number = job_of(request), read_number(request, "attempt", None)
        follow = request.query_params.get("follow") == "1"
        # What is wrong is said before the stream begins: afterwards there is no status line to say it in.
        await (self._engine.row(job) if follow and number is None else self._engine.attempt_files(job, number))
        after, tail = read_number(request, "after", None), read_number(request, "tail", None)
        return stream(streams.log(self._engine, job, number, after, tail, follow=follow))

    def _content(self, file: Path) -> AsyncIterator[bytes]:
        return streams.content(file, self._engine.secrets)

    async def output(self, request: Request) -> Response:
        """What the agent printed, byte for byte."""
        _, run = await self._engine.attempt_files(job_of(request), read_number(request, "attempt", None))
        return StreamingResponse(
            streams.content(run.stdout, self._engine.secrets), media_type="application/octet-stream"
        )

    async def diff(self, request: Request) -> Response:
        _, run = await self._engine.attempt_files(job_of(request), read_number(request, "attempt", None))
        return StreamingResponse(self._content(run.diff), media_type="text/x-diff")

    async def answer(self, request: Request) -> Response:
        """The whole of the agent's last word, where the database holds only its beginning."""
        job, number = job_of(request), read_number(request, "attempt", None)
        tried, run = await self._engine.attempt_files(job, number)
        if (file := run.answer) is not None:
            return StreamingResponse(
                streams.content(file, self._engine.secrets), media_type="text/plain; charset=utf-8"
            )
        return Response((tried.result or "").encode(), media_type="text/plain; charset=utf-8")

    async def attach(self, request: Request) -> Response:
        """Answers once the session is the caller's: what runs in it is parked first."""
        body = await read_body(request, AttachRequest)
        return as_json(await self._engine.attach(job_of(request), body, actor(request)))

    async def detach(self, request: Request) -> Response:
        return as_json(await self._engine.detach(job_of(request), (await read_body(request, DetachRequest)).marker))

    async def act(self, request: Request) -> Response:
        order = await read_body(request, Order)
        if order.verb is Verb.DRAIN:
            require(request, Role.ADMIN)
        return as_json(await self._engine.act(order, actor(request)))

    async def undo(self, request: Request) -> Response:
        body = await read_body(request, UndoRequest)
        action = body.action
        if not caller_of(request).role.may(Role.ADMIN):
            first = await self._engine.undo(action, actor(request), dry_run=True)
            if first.verb == Verb.DRAIN:
                require(request, Role.ADMIN)
            action = first.action
        return as_json(await self._engine.undo(action, actor(request), dry_run=body.dry_run))

    async def actions(self, request: Request) -> Response:
        """What the operator did, newest first."""
        limit = min(read_number(request, "limit", 20) or 20, LIST_LIMIT)
        return as_json(await self._engine.store.read.actions(limit))

    async def explain(self, request: Request) -> Response:
        return as_json(await self._engine.explain(job_of(request)))

    async def estimates(self, request: Request) -> Response:
        """When jobs are expected to start and finish."""
        return as_json(await self._engine.foresight.of(ids_of(request.query_params.get("ids", ""))))

    async def waits(self, request: Request) -> Response:
        """Why rows of a list do not start, of each the first reason."""
        rows = await self._engine.store.read.rows(ids_of(request.query_params.get("ids", "")))
        return as_json(await self._engine.foresight.waits(rows))

    async def batches(self, request: Request) -> Response:
        limit = min(read_number(request, "limit", 20) or 20, LIST_LIMIT)
        return as_json(await self._engine.store.read.batches(limit))

    async def caps(self, request: Request) -> Response:
        return as_json(await self._engine.caps())

    async def breakers(self, request: Request) -> Response:
        return as_json(await self._engine.breakers())

    async def prune(self, request: Request) -> Response:
        return as_json(await self._engine.prune(await read_body(request, Prune), actor(request)))

    async def events(self, request: Request) -> Response:
        after = read_number(request, "after", None)
        if is_number(last := request.headers.get("last-event-id", "")):
            after = int(last)
        if request.query_params.get("follow") == "1":
            progress = request.query_params.get("progress") == "1"
            start = self._engine.hub.seq if after is None else after
            seen = partial(seen_by, caller_of(request))
            return stream(streams.events(self._engine, start, progress=progress, seen=seen))
        read, limit = self._engine.store.read, min(read_number(request, "limit", 50) or 50, LIST_LIMIT)
        job = read_number(request, "job", None)
        if after is None and job is None:
            return as_json(seen_by(caller_of(request), await read.newest_events(limit)))
        return as_json(seen_by(caller_of(request), await read.events(after or 0, limit, job)))

    async def agents(self, request: Request) -> Response:
        name, check = request.query_params.get("name"), request.query_params.get("check") == "1"
        if check:
            require(request, Role.OPERATOR)
        return as_json(await self._engine.agents_here(name, check=check))

    async def sessions(self, request: Request) -> Response:
        """Conversations: those of a job, or those used last."""
        limit = min(read_number(request, "limit", 50) or 50, LIST_LIMIT)
        return as_json(await self._engine.sessions(read_number(request, "job", None), limit))

    async def shutdown(self, request: Request) -> Response:
        body = await read_body(request, Shutdown)
        if not body.drain:
            self._engine.asked_to_stop.set()
        else:
            await self._engine.act(Order(verb=Verb.DRAIN, scope=ALL), actor(request))
        return as_json({"stopping": True}, 202)

    async def reload(self, request: Request) -> Response:
        """As SIGHUP does. Answers before the engine starts anew; says what is wrong in the settings, and keeps them."""
        self._engine.reload()
        return as_json({"reloading": True}, 202)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadwayError)
    return refusal(error)


async def _unknown(request: Request, error: Exception) -> Response:
    return await _refuse(request, NotFoundError(f"no such call: {request.method} {request.url.path}"))
