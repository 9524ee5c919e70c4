"""Classes of jobs: what they are, why, and the operator's word."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.model import Correction, TriageRequest
from engine.server.http import actor, as_json, job_of, read_body


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the triage, and corrected."""
    api = _Triage(engine)
    return [
        Route("/v1/triage", api.think, methods=["POST"]),
        Route("/v1/triage/rules", api.rules),
        Route("/v1/jobs/{job}/triage", api.of),
        Route("/v1/jobs/{job}/triage", api.correct, methods=["POST"]),
    ]


class _Triage:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def think(self, request: Request) -> Response:
        return as_json(await self._engine.triage.think(await read_body(request, TriageRequest)))

    async def rules(self, request: Request) -> Response:
        return as_json(await self._engine.triage.rules(request.query_params.get("project")))

    async def of(self, request: Request) -> Response:
        return as_json(await self._engine.triage.of(await self._engine.row(job_of(request))))

    async def correct(self, request: Request) -> Response:
        said = await read_body(request, Correction)
        return as_json(await self._engine.triage.correct(await self._engine.row(job_of(request)), said, actor(request)))
