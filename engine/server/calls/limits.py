"""Rate-limit windows."""

from __future__ import annotations

from engine.server.link import Link
from engine.server.wire import TryNow
from engine.window import WindowState


class LimitCalls(Link):
    """How the windows of each account stand, and not to wait for them."""

    async def limits(self) -> list[WindowState]:
        return await self.get("/v1/limits", list[WindowState])

    async def try_now(self, account: str) -> list[WindowState]:
        """Wait no longer for the closed windows of an account. Its windows as they stand then."""
        return await self.post("/v1/limits", TryNow(account), list[WindowState])
