"""Rate-limit windows."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json, read_body
from engine.server.wire import TryNow


def routes(engine: Engine) -> list[Route]:
    """How the windows of each account stand, and not to wait for them."""
    api = _Limits(engine)
    return [
        Route("/v1/limits", api.windows),
        Route("/v1/limits", api.try_now, methods=["POST"]),
    ]


class _Limits:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def windows(self, request: Request) -> Response:
        return as_json(await self._engine.weather.windows())

    async def try_now(self, request: Request) -> Response:
        return as_json(await self._engine.weather.try_now((await read_body(request, TryNow)).account))
