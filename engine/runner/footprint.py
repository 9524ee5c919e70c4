"""What one more attempt will take of the memory, judged by those before it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.dispatch.world import Memory

RECENT = 20  #: peaks of an agent that are remembered
SHARE = (
    0.9  #: of them that an estimate covers: one attempt that took ten times as much does not keep the others waiting
)


@dataclass(frozen=True, slots=True)
class Running:
    """A running attempt, in bytes. `held` is None before anything was measured."""

    agent: str
    held: int | None = None


def estimate(peaks: Iterable[int], unmeasured: int) -> int:
    """What an attempt is expected to hold at most: nine of ten of those before it held no more."""
    ranked = sorted(peaks)
    return ranked[math.ceil(SHARE * len(ranked)) - 1] if ranked else unmeasured


def outlook(
    available: int, expected: Mapping[str, int], unmeasured: Mapping[str, int], running: list[Running]
) -> Memory:
    """What there is for further attempts: `available`, less what the running ones are still expected to take.

    With nothing running an agent may start where there is room for one as it was before anything was measured: else
    one large attempt could keep its agent from ever starting again.
    """
    coming = sum(max(0, expected.get(one.agent, 0) - (one.held or 0)) for one in running)
    free = available - coming
    if not running:
        expected = {name: min(size, max(unmeasured[name], free)) for name, size in expected.items()}
    return Memory(free, expected)
