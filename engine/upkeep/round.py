"""What the engine does by itself once in a while: run files are compressed, old workspaces put away."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.clock import now_ms
from engine.config import Upkeep
from engine.errors import HeadwayError
from engine.store.store import FILE
from engine.threads import to_its_end
from engine.units import milliseconds
from engine.upkeep import runs, worktrees
from engine.upkeep.quarantine import Away, Leaving, expire, reconnect_all
from engine.upkeep.reading import reading

logger = logging.getLogger(__name__)

FIRST_SECONDS = 300.0  #: after the start, in which there is more urgent work
EVERY_SECONDS = 3_600.0
TURN_SECONDS = 300.0  #: of one round, so that it is never the one thing that a machine does


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round did."""

    saved_bytes: int = 0
    """By compressing run files."""
    runs: int = 0
    """Run directories that were removed."""
    moved: int = 0
    """Workspaces that went into quarantine."""
    removed: int = 0
    """Worktrees in which nothing was left to keep."""
    expired: int = 0
    """What was removed from the quarantine."""


class Rounds:
    """The rounds of one engine. `locks`: those of its workspaces, so that they do not meet in a repository."""

    def __init__(self, home: Path, upkeep: Upkeep, locks: Mapping[Path, asyncio.Lock] | None = None) -> None:
        self._home = home
        self._upkeep = upkeep
        self._locks = defaultdict(asyncio.Lock) if locks is None else locks
        self._marks = runs.Marks()
        self._first = True

    async def once(self, turn: runs.Turn, now: int) -> Kept:
        """One round, as far as its turn reaches; the next one goes on from there."""
        upkeep, away = self._upkeep, Away(self._home, now, milliseconds(self._upkeep.quarantine_for), self._locks)
        compress = await asyncio.to_thread(self._compress, now - milliseconds(upkeep.compress_after), turn)
        removed_runs = 0
        if upkeep.runs_for is not None:
            removed_runs = await asyncio.to_thread(self._remove_runs, now - milliseconds(upkeep.runs_for), turn)
        moved = removed = 0
        if self._first:
            await reconnect_all(self._home)
            moved, removed = await self._forgotten(away, turn)
            self._first = turn.over()
        if upkeep.worktrees_for is not None:
            also = await self._worktrees(away, now - milliseconds(upkeep.worktrees_for), turn)
            moved, removed = moved + also[0], removed + also[1]
        return Kept(compress, removed_runs, moved, removed, await expire(away, turn))

    def _compress(self, before: int, turn: runs.Turn) -> int:
        with reading(self._home / FILE) as connection:
            return runs.compress_old(connection, self._home, before, self._marks, turn)

    def _remove_runs(self, before: int, turn: runs.Turn) -> int:
        with reading(self._home / FILE) as connection:
            return runs.remove_old(connection, self._home, before, self._marks, turn)

    async def _forgotten(self, away: Away, turn: runs.Turn) -> tuple[int, int]:
        with reading(self._home / FILE) as connection:
            found = await to_its_end(partial(worktrees.forgotten, connection, self._home))
        return await worktrees.retire_each(away, found, turn)

    async def _worktrees(self, away: Away, before: int, turn: runs.Turn) -> tuple[int, int]:
        with reading(self._home / FILE) as connection:

            def still(leaving: Leaving) -> bool:
                return worktrees.has_ended(connection, leaving.job, before)

            found = await to_its_end(partial(worktrees.old_worktrees, connection, self._home, before))
            return await worktrees.retire_each(away, found, turn, still)


async def keep_up(
    home: Path,
    upkeep: Upkeep,
    locks: Mapping[Path, asyncio.Lock] | None = None,
    *,
    first: float = FIRST_SECONDS,
    every: float = EVERY_SECONDS,
) -> None:
    """A round now and then, until cancelled. What goes wrong in one is logged, and tried again in the next."""
    rounds = Rounds(home, upkeep, locks)
    await asyncio.sleep(first)
    while True:
        turn = runs.Turn(TURN_SECONDS)
        try:
            done = await rounds.once(turn, now_ms())
            if done != Kept():
                logger.info("upkeep: %s", done)
        except (HeadwayError, OSError) as error:
            logger.warning("upkeep: %s", error)
        except Exception:
            logger.exception("upkeep: a defect; the next round tries again")
        finally:
            turn.stopped.set()  # a thread that still works on a file ends at its next piece
        await asyncio.sleep(every)
