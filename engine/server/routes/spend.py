"""What was used and spent."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.budgets import Allow
from engine.engine import Engine
from engine.money import By, Reconcile
from engine.server.http import actor, as_json, read_body, read_word


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the ledger."""
    api = _Spend(engine)
    return [
        Route("/v1/spend", api.report),
        Route("/v1/spend/reconcile", api.reconcile, methods=["POST"]),
        Route("/v1/budgets", api.budgets),
        Route("/v1/budgets", api.allow, methods=["POST"]),
    ]


class _Spend:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def report(self, request: Request) -> Response:
        """The sums since a time, put together by `by`."""
        by = read_word(request, "by", By, By.DAY)
        return as_json(await self._engine.spend.report(by, request.query_params.get("since")))

    async def reconcile(self, request: Request) -> Response:
        """The ledger against other books."""
        return as_json(await self._engine.spend.reconcile(await read_body(request, Reconcile)))

    async def budgets(self, request: Request) -> Response:
        """Every budget in its present period."""
        return as_json(await self._engine.spend.budgets())

    async def allow(self, request: Request) -> Response:
        return as_json(await self._engine.spend.allow(await read_body(request, Allow), actor(request)))
