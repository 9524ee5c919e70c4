"""The autonomy tax."""

from __future__ import annotations

from engine.model.tax import Tax
from engine.server.link import Link


class TaxCalls(Link):
    """What was spent on what."""

    async def tax(self, since: str | None = None, project: str | None = None) -> Tax:
        """Since a time (`today`, `7d`, `2026-11-01` or `all`; by default of the last fourteen days), of all projects or
        of one: its name, or its directory.
        """
        given = {"since": since, "project": project}
        return await self.get("/v1/tax", Tax, {name: value for name, value in given.items() if value is not None})
