"""What keeps a home small, each as one thing that a process does and in which it can be killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.config import Settings
from engine.store import Store
from engine.units import milliseconds
from engine.upkeep import service
from engine.upkeep.backup import backup
from engine.upkeep.round import Rounds
from engine.upkeep.runs import Turn
from engine.upkeep.wire import Prune
from tests.upkeep.samples import NOW

SECONDS = 60.0  #: of one turn, which none of them needs


def tidy(home: Path, settings: Settings, later_ms: int) -> None:
    """A round as the engine makes it: files compressed and removed, workspaces put away, the quarantine emptied."""
    asyncio.run(Rounds(home, settings.upkeep).once(Turn(SECONDS), NOW + later_ms))


def prune(home: Path, settings: Settings, later_ms: int) -> None:
    async def pruned() -> None:
        store = await Store.open(home, clock=lambda: NOW + later_ms)
        keep = milliseconds(settings.upkeep.quarantine_for)
        await service.prune(store, home, Prune(older_than="30d"), by="tester", keep_ms=keep, now=NOW + later_ms)
        await store.close()

    asyncio.run(pruned())


def back_up(home: Path, settings: Settings, later_ms: int) -> None:
    """Into a file with a name of its own, as `headway backup` does where it is given none."""
    folder = home / "backups"
    folder.mkdir(exist_ok=True)
    backup(home, folder / f"headway-{later_ms}.db", home / "headway.yaml")


def back_up_with_runs(home: Path, settings: Settings, later_ms: int) -> None:
    folder = home / "backups"
    folder.mkdir(exist_ok=True)
    backup(home, folder / f"headway-{later_ms}.tar.gz", home / "headway.yaml", runs=True)


CHORES: Mapping[str, Callable[[Path, Settings, int], None]] = {
    "tidy": tidy,
    "prune": prune,
    "back up": back_up,
    "back up with runs": back_up_with_runs,
}
