"""Tokens, and the audit."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from engine.model.access import AuditLine, Token, TokenMade, TokenWanted
from engine.server.link import Link


class AccessCalls(Link):
    """Who may come over the network, and who called what."""

    async def tokens(self) -> list[Token]:
        """All that there ever were, those that stand first."""
        return await self.get("/v1/tokens", list[Token])

    async def add_token(self, wanted: TokenWanted) -> TokenMade:
        """What opens the door is in the answer, and is never told again."""
        return await self.post("/v1/tokens", wanted, TokenMade)

    async def revoke_token(self, name: str) -> Token:
        return msgspec.json.decode(await self.call("DELETE", f"/v1/tokens/{quote(name, safe='')}"), type=Token)

    async def audit(self, since: str | None = None, who: str | None = None, limit: int = 100) -> list[AuditLine]:
        """The newest calls since a span ago, oldest first; of one caller where one is named."""
        params: dict[str, Any] = {"since": since, "who": who, "limit": limit}
        given = {key: value for key, value in params.items() if value is not None}
        return await self.get("/v1/audit", list[AuditLine], given)
