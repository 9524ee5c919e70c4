"""Schedules, and the operator's verbs on them."""

from __future__ import annotations

from urllib.parse import quote

from engine.schedule import Schedule, ScheduleAnswer, ScheduleDetail, ScheduleOrder
from engine.server.link import Link


class ScheduleCalls(Link):
    """What can be asked of schedules, and done to them."""

    async def schedules(self, upcoming: int = 1) -> list[Schedule]:
        """All of them by name, each with so many of its next times."""
        return await self.get("/v1/schedules", list[Schedule], {"next": upcoming})

    async def schedule(self, name: str, upcoming: int = 5) -> ScheduleDetail:
        """One of them, with what became of its newest times."""
        return await self.get(f"/v1/schedules/{quote(name)}", ScheduleDetail, {"next": upcoming})

    async def order_schedule(self, name: str, order: ScheduleOrder) -> ScheduleAnswer:
        """Add, edit, remove, pause, resume or run one."""
        return await self.post(f"/v1/schedules/{quote(name)}", order, ScheduleAnswer)
