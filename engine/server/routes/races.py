"""Races."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.model import RacePick, RaceWanted
from engine.server.http import LIST_LIMIT, actor, as_json, named, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of races, and begun."""
    api = _Races(engine)
    return [
        Route("/v1/races", api.newest),
        Route("/v1/races", api.begin, methods=["POST"]),
        Route("/v1/races/{race}", api.race),
        Route("/v1/races/{race}/pick", api.pick, methods=["POST"]),
    ]


class _Races:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def newest(self, request: Request) -> Response:
        limit = min(read_number(request, "limit", 20) or 20, LIST_LIMIT)
        return as_json(await self._engine.races.newest(limit))

    async def begin(self, request: Request) -> Response:
        self._engine.require_open()
        wanted = await read_body(request, RaceWanted)
        return as_json(await self._engine.races.begin(wanted, actor(request)), 200 if wanted.dry_run else 201)

    async def race(self, request: Request) -> Response:
        return as_json(await self._engine.races.race(named(request, "race")))

    async def pick(self, request: Request) -> Response:
        said = await read_body(request, RacePick)
        number = named(request, "race")
        return as_json(await self._engine.races.pick(number, said.job, actor(request), dry_run=said.dry_run))
