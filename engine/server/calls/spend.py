"""What was used and spent."""

from __future__ import annotations

from engine.money import By, Spend
from engine.server.link import Link


class SpendCalls(Link):
    """What can be asked of the ledger."""

    async def spend(self, by: By = By.DAY, since: str | None = None) -> Spend:
        """The sums since a time: `today`, `7d`, `2026-11-01` or `all`; by default of the last fourteen days."""
        return await self.get("/v1/spend", Spend, {"by": by} if since is None else {"by": by, "since": since})
