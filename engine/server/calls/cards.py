"""Cards and standing answers."""

from __future__ import annotations

import msgspec

from engine.decision import Answered, Card, Reply, Rule
from engine.server.link import Link


class CardCalls(Link):
    """What can be asked of the inbox, and answered."""

    async def inbox(self, limit: int | None = None) -> list[Card]:
        """What waits for the operator, the oldest first; with a limit the newest cards, answered ones too."""
        return await self.get("/v1/decisions", list[Card], {} if limit is None else {"limit": limit})

    async def card(self, number: int) -> Card:
        return await self.get(f"/v1/decisions/{number}", Card)

    async def reply(self, card: int, reply: Reply) -> Answered:
        """Answer a card. Refused where somebody, or its time, was quicker."""
        return await self.post(f"/v1/decisions/{card}", reply, Answered)

    async def rules(self) -> list[Rule]:
        """The standing answers: those that were made of answers, then those of headway.yaml."""
        return await self.get("/v1/rules", list[Rule])

    async def drop_rule(self, number: int) -> Rule:
        """Take a standing answer back."""
        return msgspec.json.decode(await self.call("DELETE", f"/v1/rules/{number}"), type=Rule)
