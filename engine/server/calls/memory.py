"""Memory, as its engine answers for it: the calls of `engine.memory.memory.Memory`, by the same names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.memory.answers import (
    Change,
    CorePart,
    CoreText,
    Forget,
    Forgotten,
    Import,
    Imported,
    ItemDetail,
    MemoryStatus,
    Migrate,
    Moved,
    Recalled,
    Remember,
    Written,
)
from engine.memory.item import Item, Kind, Standing
from engine.memory.store import Backend
from engine.server.link import Link


class RemoteMemory:
    """What can be asked of memory, and written into it, where an engine serves the home."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def items(
        self,
        scopes: Sequence[str] = (),
        kinds: Sequence[Kind] = (),
        standings: Sequence[Standing] = (),
        limit: int = 50,
        after: int | None = None,
    ) -> list[Item]:
        """The newest; or, from `after` on, in the order of their numbers."""
        params: dict[str, object] = {"scope": list(scopes), "kind": list(kinds), "standing": list(standings)}
        params |= {"limit": limit} | ({} if after is None else {"after": after})
        return await self._link.get("/v1/memory", list[Item], params)

    async def item(self, number: int) -> ItemDetail:
        return await self._link.get(f"/v1/memory/{number}", ItemDetail)

    async def search(self, question: str, scopes: Sequence[str] = (), limit: int = 20) -> Recalled:
        """What fits a question, with every term of its score."""
        params: dict[str, object] = {"q": question, "scope": list(scopes), "limit": limit}
        return await self._link.get("/v1/memory/search", Recalled, params)

    async def recall(self, question: str, scopes: Sequence[str], budget: int | None = None) -> Recalled:
        """What a job of these scopes would be told."""
        params: dict[str, object] = {"q": question, "scope": list(scopes)}
        return await self._link.get(
            "/v1/memory/recall", Recalled, params | ({} if budget is None else {"budget": budget})
        )

    async def remember(self, wanted: Remember) -> list[Written]:
        return await self._link.post("/v1/memory", wanted, list[Written])

    async def change(self, wanted: Change) -> list[Item]:
        return await self._link.post("/v1/memory/change", wanted, list[Item])

    async def forget(self, wanted: Forget) -> Forgotten:
        return await self._link.post("/v1/memory/forget", wanted, Forgotten)

    async def bring_in(self, wanted: Import) -> Imported:
        return await self._link.post("/v1/memory/import", wanted, Imported)

    async def core(self, scope: str) -> CorePart:
        return await self._link.get("/v1/memory/core", CorePart, {"scope": scope})

    async def set_core(self, scope: str, text: str) -> CorePart:
        body = msgspec.json.encode(CoreText(scope=scope, text=text))
        return msgspec.json.decode(await self._link.call("PUT", "/v1/memory/core", content=body), type=CorePart)

    async def status(self) -> MemoryStatus:
        return await self._link.get("/v1/memory/status", MemoryStatus)

    async def migrate(self, to: Backend) -> Moved:
        """Go on with a migration for a while; `more` says that there is more to do."""
        return await self._link.post("/v1/memory/migrate", Migrate(to=to), Moved)


class MemoryCalls(Link):
    """What a client can ask about memory."""

    @property
    def memory(self) -> RemoteMemory:
        return RemoteMemory(self)
