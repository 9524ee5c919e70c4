"""The scoreboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.model import Comparison, Scoreboard
from engine.server.link import Link


class ScoreCalls(Link):
    """What can be asked of the scoreboard."""

    async def scoreboard(
        self, kind: str | None = None, project: str | None = None, since: str | None = None, by: str | None = None
    ) -> Scoreboard:
        """How targets do at each kind of job. `since` is a span such as `30d`; `by` agent, model or account."""
        return await self.get("/v1/scoreboard", Scoreboard, _given(kind=kind, project=project, since=since, by=by))

    async def rebuild_scoreboard(self) -> Scoreboard:
        """Make its sums anew from all jobs that are there."""
        return msgspec.json.decode(await self.call("POST", "/v1/scoreboard/rebuild"), type=Scoreboard)

    async def compare(
        self, targets: Sequence[str], kind: str | None = None, project: str | None = None, since: str | None = None
    ) -> list[Comparison]:
        """Targets side by side, at the kinds that two of them or more have done."""
        params = {"target": list(targets), **_given(kind=kind, project=project, since=since)}
        return await self.get("/v1/compare", list[Comparison], params)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
