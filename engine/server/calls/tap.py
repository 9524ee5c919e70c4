"""What passes through the tap."""

from __future__ import annotations

from engine.model import TapState
from engine.server.link import Link


class TapCalls(Link):
    """What can be asked of the tap."""

    async def taps(self) -> list[TapState]:
        """The calls of running attempts whose accounts have a tap."""
        return await self.get("/v1/tap", list[TapState])
