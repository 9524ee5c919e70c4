"""The actor that holds a node's site. One for each node and home; it outlives the engine and its driver."""

from __future__ import annotations

from pathlib import Path

import ray

from engine.cluster.site import Site


@ray.remote
class SiteActor:
    """Detached and named. When it ends by a crash, Ray starts it anew, and it finds what it was holding."""

    def __init__(self, home: str, namespace: str, name: str) -> None:
        self._place = Path(home).expanduser() / namespace / name
        self._site: Site | None = None

    async def answer(self, verb: str, data: bytes) -> bytes:
        if self._site is None:  # in the loop that it will live in
            self._site = Site(self._place)
        return await self._site.answer(verb, data)
