"""Notifications: how the channels stand, and a try of one."""

from __future__ import annotations

from engine.notice import NotifyStatus, TestNotify, Tried
from engine.server.link import Link


class NotifyCalls(Link):
    """What can be asked of the notifications."""

    async def notify_status(self) -> NotifyStatus:
        """How each channel stands, and how much of the finished work told nobody anything."""
        return await self.get("/v1/notify", NotifyStatus)

    async def notify_test(self, channel: str | None = None) -> list[Tried]:
        """Try a channel now, or all of them."""
        return await self.post("/v1/notify/test", TestNotify(channel=channel), list[Tried])
