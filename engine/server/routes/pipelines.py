"""Pipelines: their files, and those that were begun."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.model import PipelineOrder, PipelineWanted
from engine.server.http import LIST_LIMIT, actor, as_json, named, project_of, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of pipelines, and begun."""
    api = _Pipelines(engine)
    return [
        Route("/v1/pipelines", api.newest),
        Route("/v1/pipelines", api.begin, methods=["POST"]),
        Route("/v1/pipelines/files", api.files),
        Route("/v1/pipelines/files/{name}", api.file),
        Route("/v1/pipelines/{pipeline}", api.pipeline),
        Route("/v1/pipelines/{pipeline}", api.act, methods=["POST"]),
    ]


class _Pipelines:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def newest(self, request: Request) -> Response:
        limit = min(read_number(request, "limit", 20) or 20, LIST_LIMIT)
        return as_json(await self._engine.pipelines.newest(limit))

    async def begin(self, request: Request) -> Response:
        self._engine.require_open()
        wanted = await read_body(request, PipelineWanted)
        return as_json(await self._engine.pipelines.begin(wanted, actor(request)), 200 if wanted.dry_run else 201)

    async def files(self, request: Request) -> Response:
        return as_json(await self._engine.pipelines.files(project_of(request, self._engine.settings)))

    async def file(self, request: Request) -> Response:
        project = project_of(request, self._engine.settings)
        return as_json(await self._engine.pipelines.file(request.path_params["name"], project))

    async def pipeline(self, request: Request) -> Response:
        return as_json(await self._engine.pipelines.pipeline(named(request, "pipeline")))

    async def act(self, request: Request) -> Response:
        order = await read_body(request, PipelineOrder)
        return as_json(await self._engine.pipelines.act(named(request, "pipeline"), order, actor(request)))
