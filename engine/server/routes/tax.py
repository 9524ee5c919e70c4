"""The autonomy tax."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json


def routes(engine: Engine) -> list[Route]:
    """What was spent on what."""

    async def tax(request: Request) -> Response:
        given = request.query_params
        return as_json(await engine.tax.since(given.get("since"), given.get("project")))

    return [Route("/v1/tax", tax)]
