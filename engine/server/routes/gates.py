"""Gates: those of the settings, and what the gate of a job says."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json, job_of


def routes(engine: Engine) -> list[Route]:
    """What can be asked of gates."""
    api = _Gates(engine)
    return [Route("/v1/gates", api.lines), Route("/v1/jobs/{job}/gate", api.of_job)]


class _Gates:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def lines(self, request: Request) -> Response:
        return as_json(self._engine.gates.lines())

    async def of_job(self, request: Request) -> Response:
        return as_json(await self._engine.gates.of_job(job_of(request)))
