"""What a job is told, and what its attempts leave for each other."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.hand_off import HandOff
from engine.server.http import actor, as_json, job_of, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of a job's context."""
    api = _Context(engine)
    return [
        Route("/v1/jobs/{job}/context", api.context),
        Route("/v1/jobs/{job}/hand-offs", api.hand_offs),
        Route("/v1/jobs/{job}/hand-offs", api.hand_off, methods=["POST"]),
    ]


class _Context:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def context(self, request: Request) -> Response:
        """What an attempt was told: the newest, or the one with that number; with `ahead=1` what the next would be."""
        ahead = request.query_params.get("ahead") == "1"
        number = read_number(request, "attempt", None)
        return as_json(await self._engine.contexts.of_job(job_of(request), number, ahead=ahead))

    async def hand_offs(self, request: Request) -> Response:
        return as_json(await self._engine.hand_offs.of_job(job_of(request)))

    async def hand_off(self, request: Request) -> Response:
        """The operator's own word to the next attempt."""
        note = await read_body(request, HandOff)
        return as_json(await self._engine.hand_offs.write(job_of(request), note, actor(request)), 201)
