"""Races."""

from __future__ import annotations

from engine.model import Race, RacePick, RacePicked, RaceWanted
from engine.server.link import Link


class RaceCalls(Link):
    """What can be asked of races, and begun."""

    async def begin_race(self, wanted: RaceWanted) -> Race:
        """Give one prompt to several targets."""
        return await self.post("/v1/races", wanted, Race)

    async def race(self, number: int) -> Race:
        """A race with its entries."""
        return await self.get(f"/v1/races/{number}", Race)

    async def races(self, limit: int = 20) -> list[Race]:
        """The newest races, without their entries."""
        return await self.get("/v1/races", list[Race], {"limit": limit})

    async def pick(self, number: int, job: int, *, dry_run: bool = False) -> RacePicked:
        """Say who won."""
        return await self.post(f"/v1/races/{number}/pick", RacePick(job=job, dry_run=dry_run), RacePicked)
