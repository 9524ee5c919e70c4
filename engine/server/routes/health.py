"""For those who watch the engine: probes, and the figures."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.engine import Engine
from engine.errors import HeadwayError
from engine.model import Readiness
from engine.server.http import as_json

#: https://prometheus.io/docs/instrumenting/exposition_formats/
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def routes(engine: Engine) -> list[Route]:
    """By the names that Kubernetes and Prometheus look for; they answer without a word of the rest of the API."""
    api = _Health(engine)
    return [
        Route("/healthz", api.alive),
        Route("/readyz", api.ready),
        Route("/metrics", api.metrics),
    ]


class _Health:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def alive(self, request: Request) -> Response:
        """The loop turns, or this would not be answered."""
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        try:
            found = await self._engine.monitoring.readiness()
        except HeadwayError as error:
            found = Readiness(False, error.message)
        return as_json(found, 200 if found.ready else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(await self._engine.monitoring.metrics(), headers={"Content-Type": _PROMETHEUS})
