"""The scoreboard."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the scoreboard."""
    api = _Scores(engine)
    return [
        Route("/v1/scoreboard", api.board),
        Route("/v1/scoreboard/rebuild", api.rebuild, methods=["POST"]),
        Route("/v1/compare", api.compare),
    ]


class _Scores:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def board(self, request: Request) -> Response:
        asked = request.query_params
        found = await self._engine.scores.board(
            asked.get("kind"), asked.get("project"), asked.get("since"), asked.get("by", "model")
        )
        return as_json(found)

    async def rebuild(self, request: Request) -> Response:
        return as_json(await self._engine.scores.rebuild())

    async def compare(self, request: Request) -> Response:
        asked = request.query_params
        targets = asked.getlist("target")
        return as_json(
            await self._engine.scores.compare(targets, asked.get("kind"), asked.get("project"), asked.get("since"))
        )
