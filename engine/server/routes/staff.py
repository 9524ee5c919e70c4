"""Personas and persistent workers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import actor, as_json, project_of, read_body
from engine.worker import WorkerOrder


def routes(engine: Engine) -> list[Route]:
    """What can be asked of who does the work."""
    api = _Staff(engine)
    return [
        Route("/v1/personas", api.personas),
        Route("/v1/personas/{name}", api.persona),
        Route("/v1/workers", api.workers),
        Route("/v1/workers/{name}", api.worker),
        Route("/v1/workers/{name}", api.act, methods=["POST"]),
    ]


class _Staff:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def personas(self, request: Request) -> Response:
        """With `project`, a name of the settings or a directory, those of that project too."""
        return as_json(await self._engine.staff.personas(project_of(request, self._engine.settings)))

    async def persona(self, request: Request) -> Response:
        name, project = request.path_params["name"], project_of(request, self._engine.settings)
        return as_json(await self._engine.staff.persona(name, project))

    async def workers(self, request: Request) -> Response:
        return as_json(await self._engine.staff.workers())

    async def worker(self, request: Request) -> Response:
        """One of them, with its queue."""
        return as_json(await self._engine.staff.worker(request.path_params["name"]))

    async def act(self, request: Request) -> Response:
        order = await read_body(request, WorkerOrder)
        return as_json(await self._engine.staff.act(request.path_params["name"], order, actor(request)))
