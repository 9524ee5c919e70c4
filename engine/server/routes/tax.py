"""The autonomy tax."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json, read_number


def routes(engine: Engine) -> list[Route]:
    """What was spent on what."""

    async def tax(request: Request) -> Response:
        since = read_number(request, "since", 0) or 0
        return as_json(await engine.tax.since(since, request.query_params.get("project")))

    return [Route("/v1/tax", tax)]
