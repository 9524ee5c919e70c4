"""Schedules, and the operator's verbs on them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.schedule import ScheduleOrder
from engine.server.http import actor, as_json, read_body, read_number

MOST = 100  #: next times of one answer


def routes(engine: Engine) -> list[Route]:
    """What can be asked of schedules, and done to them."""
    api = _Schedules(engine)
    return [
        Route("/v1/schedules", api.every),
        Route("/v1/schedules/{name:path}", api.detail),
        Route("/v1/schedules/{name:path}", api.act, methods=["POST"]),
    ]


class _Schedules:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def every(self, request: Request) -> Response:
        """All of them, each with its next time, or with so many as `next` says."""
        return as_json(await self._engine.schedules.every(_count(request, 1)))

    async def detail(self, request: Request) -> Response:
        """One of them, with what became of its newest times."""
        return as_json(await self._engine.schedules.detail(request.path_params["name"], _count(request, 5)))

    async def act(self, request: Request) -> Response:
        order = await read_body(request, ScheduleOrder)
        return as_json(await self._engine.schedules.act(request.path_params["name"], order, actor(request)))


def _count(request: Request, default: int) -> int:
    return max(1, min(read_number(request, "next", default) or default, MOST))
