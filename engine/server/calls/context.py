"""What a job is told, and what its attempts leave for each other."""

from __future__ import annotations

from engine.briefing import Briefing
from engine.hand_off import HandOff, Stored
from engine.server.link import Link


class ContextCalls(Link):
    """What can be asked of a job's context."""

    async def context(self, job: int, *, attempt: int | None = None, ahead: bool = False) -> Briefing:
        """What an attempt was told: the newest, or the one with that number. Of a job that waits to start, and with
        `ahead`, what its next attempt would be told now.
        """
        params: dict[str, object] = {} if attempt is None else {"attempt": attempt}
        return await self.get(f"/v1/jobs/{job}/context", Briefing, params | ({"ahead": 1} if ahead else {}))

    async def hand_offs(self, job: int) -> list[Stored]:
        """All that are kept of a job, the oldest first."""
        return await self.get(f"/v1/jobs/{job}/hand-offs", list[Stored])

    async def hand_off(self, job: int, note: HandOff) -> Stored:
        """Leave something for a job's next attempt."""
        return await self.post(f"/v1/jobs/{job}/hand-offs", note, Stored)
