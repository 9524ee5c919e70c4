"""Cards and standing answers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.decision import NewRule, Replies, Reply, SnoozeCards
from engine.engine import Engine
from engine.server.http import LIST_LIMIT, actor, as_json, named, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the inbox, and answered."""
    api = _Cards(engine)
    return [
        Route("/v1/decisions", api.decisions),
        Route("/v1/decisions", api.reply_all, methods=["POST"]),
        Route("/v1/decisions/snooze", api.snooze, methods=["POST"]),
        Route("/v1/decisions/{card}", api.decision),
        Route("/v1/decisions/{card}/outlooks", api.outlooks),
        Route("/v1/decisions/{card}", api.reply, methods=["POST"]),
        Route("/v1/rules", api.rules),
        Route("/v1/rules", api.add_rule, methods=["POST"]),
        Route("/v1/rules/{rule}", api.rule),
        Route("/v1/proposals", api.proposals),
        Route("/v1/proposals", api.propose, methods=["POST"]),
        Route("/v1/rules/{rule}", api.drop_rule, methods=["DELETE"]),
    ]


class _Cards:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def decisions(self, request: Request) -> Response:
        """What waits for the operator, with `snoozed=1` also what he put aside; with `limit`, the newest cards,
        answered ones too.
        """
        limit = read_number(request, "limit", None)
        snoozed = bool(read_number(request, "snoozed", 0))
        found = await self._engine.inbox.cards(None if limit is None else min(limit, LIST_LIMIT), snoozed=snoozed)
        return as_json(found)

    async def decision(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.card(named(request, "card")))

    async def reply(self, request: Request) -> Response:
        chosen = await read_body(request, Reply)
        return as_json(await self._engine.inbox.answer(named(request, "card"), chosen, actor(request)))

    async def reply_all(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.answer_all(await read_body(request, Replies), actor(request)))

    async def outlooks(self, request: Request) -> Response:
        """What would follow from each answer that a card may have."""
        return as_json(await self._engine.inbox.outlooks(named(request, "card")))

    async def snooze(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.snooze(await read_body(request, SnoozeCards), actor(request)))

    async def rules(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.rules())

    async def rule(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.rule(named(request, "rule")))

    async def add_rule(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.add_rule(await read_body(request, NewRule), actor(request)))

    async def proposals(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.proposals())

    async def propose(self, request: Request) -> Response:
        """Look for rules; with `again=1` also for what was dismissed."""
        again = bool(read_number(request, "again", 0))
        return as_json(await self._engine.inbox.propose(again=again))

    async def drop_rule(self, request: Request) -> Response:
        return as_json(await self._engine.inbox.drop_rule(named(request, "rule"), actor(request)))
