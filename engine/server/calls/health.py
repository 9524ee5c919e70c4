"""How the engine is, for those who watch it."""

from __future__ import annotations

import httpx
import msgspec

from engine.model import Readiness
from engine.server.link import Link


class HealthCalls(Link):
    """Whether the engine takes work, and its figures."""

    async def ready(self) -> Readiness:
        assert self._http is not None, "use the client as a context manager"
        try:
            answer = await self._http.get("/readyz")
        except httpx.TransportError as error:
            raise self.lost(error) from None
        return msgspec.json.decode(answer.content, type=Readiness)

    async def metrics(self) -> str:
        """The figures, in the text format of Prometheus."""
        return (await self.call("GET", "/metrics")).decode()
