"""What happened of late."""

from __future__ import annotations

from engine.model.trend import Trend
from engine.server.link import Link


class TrendCalls(Link):
    """A look back."""

    async def trend(self, hours: int = 1, steps: int = 12) -> Trend:
        """Ends, money, tokens and the depth of the queue over the last hours, in so many steps."""
        return await self.get("/v1/trend", Trend, {"hours": hours, "steps": steps})
