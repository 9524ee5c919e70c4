"""What passes through the tap."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the tap."""

    async def states(request: Request) -> Response:
        return as_json(engine.tap.states())

    return [Route("/v1/tap", states)]
