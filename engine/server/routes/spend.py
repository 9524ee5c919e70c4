"""What was used and spent."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.money import By
from engine.server.http import as_json, read_word


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the ledger."""
    api = _Spend(engine)
    return [Route("/v1/spend", api.report)]


class _Spend:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def report(self, request: Request) -> Response:
        """The sums since a time, put together by `by`."""
        by = read_word(request, "by", By, By.DAY)
        return as_json(await self._engine.spend.report(by, request.query_params.get("since")))
