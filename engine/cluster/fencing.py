"""Who may speak to a node, and what of what a node says counts. Pure.

Each engine that starts takes a higher epoch than the one before it. A node that has heard one hears no lower: what an
engine that was thought dead still had on its way does nothing. An attempt's id is its own fencing number: it is given
to one node, and what any other says of it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.errors import RefusedError


class FencedError(RefusedError):
    """Whoever speaks has been replaced."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What a node has heard."""

    epoch: int = 0

    def hear(self, epoch: int) -> Fence:
        """The fence after a word of that epoch. Raises `FencedError` for one that has been replaced."""
        if epoch < self.epoch:
            raise FencedError(f"the engine of epoch {epoch} has been replaced by that of {self.epoch}")
        return replace(self, epoch=epoch)


@dataclass(frozen=True, slots=True)
class Sorted:
    """What a node holds, held against what it was given."""

    kept: frozenset[int]
    """Attempts that are its own: what it says of them counts."""
    stale: frozenset[int]
    """Attempts that were given away or settled while it was out of reach: it has to end them, and is not heard."""
    missing: frozenset[int]
    """Attempts that it should hold and knows nothing of."""


def sort(held: Iterable[int], given: Mapping[int, str | None], node: str) -> Sorted:
    """Judge a node that has come back. `given`: the attempts without an end, and the node that each was given to."""
    own = {attempt for attempt, to in given.items() if to == node}
    found = set(held)
    return Sorted(frozenset(found & own), frozenset(found - own), frozenset(own - found))
