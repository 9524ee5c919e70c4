"""Routes: how they stand, which one a job takes, where it may go."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.model.route import RouteQuery
from engine.server.http import as_json, job_of, read_body


def routes(engine: Engine) -> list[Route]:
    """What can be asked of routes."""
    api = _Routes(engine)
    return [
        Route("/v1/routes", api.listed),
        Route("/v1/routes/explain", api.explain, methods=["POST"]),
        Route("/v1/jobs/{job}/route", api.of_job),
    ]


class _Routes:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def listed(self, request: Request) -> Response:
        return as_json(await self._engine.routes.listed())

    async def explain(self, request: Request) -> Response:
        """For a job that might be submitted."""
        return as_json(await self._engine.routes.explain(await read_body(request, RouteQuery)))

    async def of_job(self, request: Request) -> Response:
        return as_json(await self._engine.routes.of_job(job_of(request)))
