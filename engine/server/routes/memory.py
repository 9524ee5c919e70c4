"""What is remembered: found, written, changed and removed."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.documents import nearest
from engine.engine import Engine
from engine.errors import UsageError
from engine.memory.answers import Change, CoreText, Forget, Import, Migrate, Remember
from engine.memory.item import Kind, Standing
from engine.server.http import LIST_LIMIT, actor, as_json, named, read_body, read_number

Word = TypeVar("Word", bound=StrEnum)

SEARCH_LIMIT = 200  #: things of one answer: more is no search any more


def routes(engine: Engine) -> list[Route]:
    """Memory, by families of what is done with it."""
    api = _Memory(engine)
    return [
        Route("/v1/memory", api.items),
        Route("/v1/memory", api.remember, methods=["POST"]),
        Route("/v1/memory/search", api.search),
        Route("/v1/memory/recall", api.recall),
        Route("/v1/memory/status", api.status),
        Route("/v1/memory/core", api.core),
        Route("/v1/memory/core", api.set_core, methods=["PUT"]),
        Route("/v1/memory/change", api.change, methods=["POST"]),
        Route("/v1/memory/forget", api.forget, methods=["POST"]),
        Route("/v1/memory/import", api.bring_in, methods=["POST"]),
        Route("/v1/memory/migrate", api.migrate, methods=["POST"]),
        Route("/v1/memory/{item}", api.item),
    ]


class _Memory:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._memory = engine.memory

    async def items(self, request: Request) -> Response:
        """The newest things; with `after`, those with higher numbers, in their order."""
        limit = min(read_number(request, "limit", 50) or 50, LIST_LIMIT)
        found = await self._memory.items(
            request.query_params.getlist("scope"),
            _words(request, "kind", Kind),
            _words(request, "standing", Standing),
            limit,
            read_number(request, "after", None),
        )
        return as_json(found)

    async def item(self, request: Request) -> Response:
        return as_json(await self._memory.item(named(request, "item")))

    async def search(self, request: Request) -> Response:
        limit = min(read_number(request, "limit", 20) or 20, SEARCH_LIMIT)
        scopes = request.query_params.getlist("scope")
        return as_json(await self._memory.search(request.query_params.get("q", ""), scopes, limit))

    async def recall(self, request: Request) -> Response:
        """What a job of these scopes would be told."""
        scopes = request.query_params.getlist("scope")
        budget = read_number(request, "budget", None)
        return as_json(await self._memory.recall(request.query_params.get("q", ""), scopes, budget))

    async def remember(self, request: Request) -> Response:
        return as_json(await self._engine.remembering.remember(await read_body(request, Remember), actor(request)), 201)

    async def change(self, request: Request) -> Response:
        return as_json(await self._engine.remembering.change(await read_body(request, Change), actor(request)))

    async def forget(self, request: Request) -> Response:
        return as_json(await self._engine.remembering.forget(await read_body(request, Forget), actor(request)))

    async def bring_in(self, request: Request) -> Response:
        return as_json(await self._memory.bring_in(await read_body(request, Import)))

    async def core(self, request: Request) -> Response:
        return as_json(await self._memory.core(request.query_params.get("scope", "global")))

    async def set_core(self, request: Request) -> Response:
        body = await read_body(request, CoreText)
        return as_json(await self._memory.set_core(body.scope, body.text))

    async def status(self, request: Request) -> Response:
        return as_json(await self._memory.status())

    async def migrate(self, request: Request) -> Response:
        """A step of it: `more` says that there is more to do."""
        return as_json(await self._memory.migrate((await read_body(request, Migrate)).to))


def _words(request: Request, name: str, words: type[Word]) -> list[Word]:
    found = []
    for word in request.query_params.getlist(name):
        if word not in list(words):
            raise UsageError(f"{name}={word}: not known; {nearest(word, words)}")
        found.append(words(word))
    return found
