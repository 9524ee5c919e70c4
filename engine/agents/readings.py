"""A limit that an agent told, as a reading of its account's windows."""

from __future__ import annotations

from engine.agents.events import Limit
from engine.window import Reading, Standing

_STANDINGS = {"allowed": Standing.OPEN, "warning": Standing.WARNING, "rejected": Standing.CLOSED}


def reading_of(limit: Limit, agent: str, at: int, asked: str | None) -> Reading:
    """`agent`: who told it; `at`: when, in milliseconds UTC; `asked`: the model that its attempt asked for."""
    return Reading(
        window=limit.window,
        standing=_STANDINGS.get(limit.status, Standing.UNKNOWN),
        at=at,
        source=f"{agent} {limit.signal or 'events'}",
        used=limit.used,
        resets_at=limit.resets_at,
        resets_in=limit.resets_in,
        length=limit.length,
        model=limit.model,
        asked=asked or "",
    )
