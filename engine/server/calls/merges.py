"""The merge queue."""

from __future__ import annotations

from engine.model import Merge, MergeDrop, MergeQueued, MergeWanted
from engine.server.link import Link


class MergeCalls(Link):
    """What can be asked of the merge queue, and put into it."""

    async def queue_merges(self, wanted: MergeWanted) -> MergeQueued:
        """Queue the work of jobs for the branch of their project."""
        return await self.post("/v1/merges", wanted, MergeQueued)

    async def merge(self, number: int) -> Merge:
        return await self.get(f"/v1/merges/{number}", Merge)

    async def merges(self, limit: int = 20) -> list[Merge]:
        """All that wait, and so many of the newest."""
        return await self.get("/v1/merges", list[Merge], {"limit": limit})

    async def drop_merge(self, number: int, *, dry_run: bool = False) -> Merge:
        """Take one out of the queue."""
        return await self.post(f"/v1/merges/{number}/drop", MergeDrop(dry_run=dry_run), Merge)
