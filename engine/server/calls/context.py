"""What a job is told, and what its attempts leave for each other."""

from __future__ import annotations

from engine.hand_off import HandOff, Stored
from engine.server.link import Link


class ContextCalls(Link):
    """What can be asked of a job's context."""

    async def hand_offs(self, job: int) -> list[Stored]:
        """All that are kept of a job, the oldest first."""
        return await self.get(f"/v1/jobs/{job}/hand-offs", list[Stored])

    async def hand_off(self, job: int, note: HandOff) -> Stored:
        """Leave something for a job's next attempt."""
        return await self.post(f"/v1/jobs/{job}/hand-offs", note, Stored)
