"""The merge queue."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.model import MergeDrop, MergeWanted
from engine.server.http import LIST_LIMIT, actor, as_json, named, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the queue, and put into it."""
    api = _Merges(engine)
    return [
        Route("/v1/merges", api.listed),
        Route("/v1/merges", api.queue, methods=["POST"]),
        Route("/v1/merges/{merge}", api.merge),
        Route("/v1/merges/{merge}/drop", api.drop, methods=["POST"]),
    ]


class _Merges:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def listed(self, request: Request) -> Response:
        """All that wait, and the newest."""
        limit = min(read_number(request, "limit", 20) or 20, LIST_LIMIT)
        return as_json(await self._engine.merges.listed(limit))

    async def queue(self, request: Request) -> Response:
        wanted = await read_body(request, MergeWanted)
        return as_json(await self._engine.merges.queue(wanted, actor(request)), 200 if wanted.dry_run else 201)

    async def merge(self, request: Request) -> Response:
        return as_json(await self._engine.merges.merge(named(request, "merge")))

    async def drop(self, request: Request) -> Response:
        said = await read_body(request, MergeDrop)
        return as_json(await self._engine.merges.drop(named(request, "merge"), actor(request), dry_run=said.dry_run))
