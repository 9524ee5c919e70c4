"""What happened of late."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import as_json, read_number
from engine.store.trend import trend

MOST_STEPS = 400
_HOUR_MS = 3_600_000


def routes(engine: Engine) -> list[Route]:
    """Ends, money, tokens and the depth of the queue over the last hours."""

    async def of_late(request: Request) -> Response:
        hours = min(max(1, read_number(request, "hours", 1) or 1), 24 * 31)
        steps = min(max(1, read_number(request, "steps", 12) or 12), MOST_STEPS)
        return as_json(await engine.store.look(lambda tx: trend(tx, hours * _HOUR_MS, steps)))

    return [Route("/v1/trend", of_late)]
