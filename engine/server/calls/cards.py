"""Cards and standing answers."""

from __future__ import annotations

import msgspec

from engine.decision import (
    Answered,
    Card,
    Foreseen,
    NewRule,
    Proposal,
    Replies,
    Reply,
    Rule,
    RuleMade,
    SnoozeCards,
    Snoozed,
)
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

    async def rule(self, number: int) -> RuleMade:
        """A rule, what it would have decided so far, and what it has decided."""
        return await self.get(f"/v1/rules/{number}", RuleMade)

    async def add_rule(self, wanted: NewRule) -> RuleMade:
        return await self.post("/v1/rules", wanted, RuleMade)

    async def proposals(self) -> list[Proposal]:
        """The rules that like answers suggest."""
        return await self.get("/v1/proposals", list[Proposal])

    async def propose(self, *, again: bool = False) -> list[Proposal]:
        """Look at all that was answered in the last months; with `again` also at what was dismissed."""
        path = "/v1/proposals?again=1" if again else "/v1/proposals"
        return msgspec.json.decode(await self.call("POST", path), type=list[Proposal])

    async def drop_rule(self, number: int) -> Rule:
        """Take a standing answer back."""
        return msgspec.json.decode(await self.call("DELETE", f"/v1/rules/{number}"), type=Rule)
