"""Routes: how they stand, which one a job takes, where it may go."""

from __future__ import annotations

from engine.model.route import RouteChoice, RouteQuery, RouteStatus
from engine.server.link import Link


class RouteCalls(Link):
    """What can be asked of routes."""

    async def routes(self) -> list[RouteStatus]:
        """Those of headway.yaml, in the order in which they are matched."""
        return await self.get("/v1/routes", list[RouteStatus])

    async def route_of(self, job: int) -> RouteChoice:
        """The route of a job, how each target stands for it, and what would be done."""
        return await self.get(f"/v1/jobs/{job}/route", RouteChoice)

    async def explain_route(self, query: RouteQuery) -> RouteChoice:
        """The route that a job would take if it were submitted now."""
        return await self.post("/v1/routes/explain", query, RouteChoice)
