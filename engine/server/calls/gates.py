"""Gates."""

from __future__ import annotations

from engine.model import GateLine, JobGate
from engine.server.link import Link


class GateCalls(Link):
    """What can be asked of gates."""

    async def gates(self) -> list[GateLine]:
        """The gates of the settings."""
        return await self.get("/v1/gates", list[GateLine])

    async def gate(self, job: int) -> JobGate:
        """The gate of a job, what it would do, and all its looks."""
        return await self.get(f"/v1/jobs/{job}/gate", JobGate)
