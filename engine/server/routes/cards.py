"""Cards and standing answers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.decision import Reply
from engine.engine import Engine
from engine.server.http import LIST_LIMIT, OPERATOR, as_json, named, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the inbox, and answered."""
    api = _Cards(engine)
    return [
        Route("/v1/decisions", api.decisions),
        Route("/v1/decisions/{card}", api.decision),
        Route("/v1/decisions/{card}", api.reply, methods=["POST"]),
        Route("/v1/rules", api.rules),
        Route("/v1/rules/{rule}", api.drop_rule, methods=["DELETE"]),
    ]


class _Cards:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def decisions(self, request: Request) -> Response:
        """What waits for the operator; with `limit`, the newest cards, answered ones too."""
        limit = read_number(request, "limit", None)
        return as_json(await self._engine.inbox.cards(None if limit is None else min(limit, LIST_LIMIT)))

    async def decision(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.card(named(request, "card")))

    async def reply(self, request: Request) -> Response:
        chosen = await read_body(request, Reply)
        return as_json(await self._engine.inbox.answer(named(request, "card"), chosen, OPERATOR))

    async def rules(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.rules())

    async def drop_rule(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.drop_rule(named(request, "rule"), OPERATOR))
