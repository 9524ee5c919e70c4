"""What the engine does by itself: trying again, and clearing away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from engine.config import checks
from engine.documents import Complaint

if TYPE_CHECKING:
    from engine.config.settings import Settings


class RetryBudget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often the engine itself may try again on one account, however many jobs ask for it."""

    burst: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """So many at once."""
    every: str | int = "30s"
    """Then one in this time."""


class Upkeep(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the engine clears away by itself. Everything else waits for `headway prune`."""

    compress_after: str | int = "1d"
    """Output of attempts that ended so long ago is kept as gzip."""
    runs_for: str | int | None = None
    """Run directories are removed so long after their end; unset is never."""
    worktrees_for: str | int | None = None
    """Worktrees of ended jobs are moved to the quarantine so long after; unset is never."""
    quarantine_for: str | int = "30d"
    """What was moved there is removed so long after."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with trying again, and with clearing away."""
    yield from checks.spans(("retry_budget",), settings.retry_budget, "every")
    kept = ("compress_after", "runs_for", "worktrees_for", "quarantine_for")
    yield from checks.spans(("upkeep",), settings.upkeep, *kept)
