"""What is to be expected."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json


def routes(engine: Engine) -> list[Route]:
    """A look ahead at limits and queue."""

    async def forecast(request: Request) -> Response:
        return as_json(await engine.foresight.forecast())

    return [Route("/v1/forecast", forecast)]
