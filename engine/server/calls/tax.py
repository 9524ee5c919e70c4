"""The autonomy tax."""

from __future__ import annotations

from engine.model.tax import Tax
from engine.server.link import Link


class TaxCalls(Link):
    """What was spent on what."""

    async def tax(self, since: int, project: str | None = None) -> Tax:
        """Since a time (milliseconds UTC), of all projects or of one: its name, or its directory."""
        return await self.get("/v1/tax", Tax, {"since": since, **({} if project is None else {"project": project})})
