"""What is to be expected."""

from __future__ import annotations

from engine.model.forecast import Forecast
from engine.server.link import Link


class ForecastCalls(Link):
    """A look ahead at limits and queue."""

    async def forecast(self) -> Forecast:
        """How fast each account's limits are used up, and when the queue will be through, at what cost."""
        return await self.get("/v1/forecast", Forecast)
