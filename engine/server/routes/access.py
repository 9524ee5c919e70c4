"""Tokens, and the audit."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.clock import now_ms
from engine.engine import Engine
from engine.errors import UsageError
from engine.model.access import TokenWanted
from engine.server.http import LIST_LIMIT, actor, as_json, read_body, read_number
from engine.units import milliseconds


def routes(engine: Engine) -> list[Route]:
    """Who may come over the network, and who called what."""
    api = _Access(engine)
    return [
        Route("/v1/tokens", api.every),
        Route("/v1/tokens", api.add, methods=["POST"]),
        Route("/v1/tokens/{name}", api.revoke, methods=["DELETE"]),
        Route("/v1/audit", api.audit),
    ]


class _Access:
    def __init__(self, engine: Engine) -> None:
        self._tokens = engine.tokens
        self._audit = engine.audit

    async def every(self, request: Request) -> Response:
        return as_json(await self._tokens.every())

    async def add(self, request: Request) -> Response:
        """What opens the door is told in this answer, and never again."""
        return as_json(await self._tokens.add(await read_body(request, TokenWanted), actor(request)), 201)

    async def revoke(self, request: Request) -> Response:
        return as_json(await self._tokens.revoke(request.path_params["name"], actor(request)))

    async def audit(self, request: Request) -> Response:
        """The newest calls, oldest first; `since` is a span, such as `1d`."""
        asked = request.query_params
        limit = max(1, min(read_number(request, "limit", 100) or 100, LIST_LIMIT))
        return as_json(await self._audit.lines(_since(asked.get("since")), asked.get("who") or None, limit))


def _since(text: str | None) -> int:
    if not text:
        return 0
    try:
        return now_ms() - milliseconds(text)
    except ValueError as error:
        raise UsageError(f"since: {error}") from None
