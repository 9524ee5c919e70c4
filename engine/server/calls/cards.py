"""Cards and standing answers."""

from __future__ import annotations

import msgspec

from engine.decision import Answered, Card, Foreseen, Replies, Reply, Rule, SnoozeCards, Snoozed
from engine.server.link import Link


class CardCalls(Link):
    """What can be asked of the inbox, and answered."""

    async def inbox(self, limit: int | None = None, *, snoozed: bool = False) -> list[Card]:
        """What waits for the operator, the oldest first, with `snoozed` also what he put aside; with a limit the newest
        cards, answered ones too.
        """
        query = {"snoozed": 1} if snoozed else {}
        return await self.get("/v1/decisions", list[Card], query if limit is None else {"limit": limit})

    async def card(self, number: int) -> Card:
        return await self.get(f"/v1/decisions/{number}", Card)

    async def reply(self, card: int, reply: Reply) -> Answered:
        """Answer a card. Refused where somebody, or its time, was quicker."""
        return await self.post(f"/v1/decisions/{card}", reply, Answered)

    async def reply_all(self, cards: list[int], reply: Reply) -> list[Answered]:
        """Answer several cards alike, all or none."""
        return await self.post("/v1/decisions", Replies(cards=cards, reply=reply), list[Answered])

    async def outlooks(self, card: int) -> list[Foreseen]:
        """What would follow from each answer that a card may have."""
        return await self.get(f"/v1/decisions/{card}/outlooks", list[Foreseen])

    async def snooze_cards(self, wanted: SnoozeCards) -> Snoozed:
        """Put cards aside until a time, or take them up again."""
        return await self.post("/v1/decisions/snooze", wanted, Snoozed)

    async def rules(self) -> list[Rule]:
        """The standing answers: those that were made of answers, then those of headway.yaml."""
        return await self.get("/v1/rules", list[Rule])

    async def drop_rule(self, number: int) -> Rule:
        """Take a standing answer back."""
        return msgspec.json.decode(await self.call("DELETE", f"/v1/rules/{number}"), type=Rule)
