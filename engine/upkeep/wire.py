"""What crosses the socket about upkeep. Light, because the client loads it, and every command loads the client."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from engine.model import UNFINISHED, State

ENDED = frozenset(State) - UNFINISHED
OLDER_THAN = "30d"


class Prune(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/prune`: which ended jobs to remove."""

    older_than: str | int = OLDER_THAN
    """How long ago they ended: seconds, or `12h`, `30d`, `8w`."""
    states: list[State] = field(default_factory=lambda: sorted(ENDED))
    dry_run: bool = False


class PruneResult(Struct, frozen=True, kw_only=True):
    """What was removed, or with `dry_run` would be."""

    jobs: int = 0
    attempts: int = 0
    events: int = 0
    needed: int = 0
    """Jobs that were left because an unfinished one comes after them, or is of their batch."""
    runs: int = 0
    """Run directories."""
    run_bytes: int = 0
    workspaces_moved: int = 0
    """Worktrees and other workspaces that went into quarantine."""
    workspaces_removed: int = 0
    """Worktrees in which there was nothing that is not in their project."""
    freed_bytes: int = 0
    """By how much the database has become smaller."""
    before: int = 0
    """What ended before this time was looked at: never anything of today."""
    more: bool = False
    """There is more to do, or with `dry_run` to count: ask again."""
    dry_run: bool = False

    def and_then(self, further: PruneResult) -> PruneResult:
        """What was done so far, and some more."""
        counts = [name for name in PruneResult.__struct_fields__ if name not in ("before", "more", "dry_run")]
        sums = {name: getattr(self, name) + getattr(further, name) for name in counts}
        return replace(self, **sums, more=further.more)
