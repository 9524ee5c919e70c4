"""All processes of one attempt, and how they are ended: asked first, then killed, until none is left.

Agents run their tools in sessions of their own, so the process group is not enough. An attempt's processes are found
by its cgroup where it has one; else by descent from its shim, by the shim's session, and by the marker that every
process of the attempt inherits in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from engine.runner import cgroup, procfs, spawn
from engine.runner.procfs import Identity, Process

logger = logging.getLogger(__name__)

MARKER = "HEADWAY_ATTEMPT"  #: the environment variable that every process of an attempt carries
KILL_ROUNDS = 50  #: of SIGKILL, after which it is said that a tree forks faster than it can be read, or cannot die
ROUND_SECONDS = 1.0  #: how long one round waits for what it killed
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.05, 1.0  #: between two looks for what was started after all were asked


@dataclass(frozen=True, slots=True)
class Tree:
    """What is known of an attempt's processes. `root` is its shim; None where that died before it could say."""

    root: Identity | None
    marker: str
    group: Path | None
    adopted: bool = False
    """Its orphans do not come to us: they went to init when the engine before us died."""

    def members(self) -> set[int]:
        """Pids that are alive now. Reads all of /proc: call it in a thread."""
        table = procfs.processes()
        table.pop(os.getpid(), None)  # an agent may have started this engine: what is below it is not the agent's
        mark = f"{MARKER}={self.marker}".encode()
        found = self._of_shim(table)
        found |= {pid for pid in table if procfs.carries(pid, mark)}
        found |= procfs.descendants(found, table)
        if self.group is not None:
            found |= cgroup.members(self.group) & table.keys()
        return {pid for pid in found if pid in table and not table[pid].is_gone}

    def _of_shim(self, table: dict[int, Process]) -> set[int]:
        """What is below the shim or in its session; nothing where its pid belongs to another process by now."""
        if self.root is None or self.root.boot != procfs.boot_id():
            return set()
        root = self.root.pid
        if root in table and table[root].started != self.root.started:
            return set()
        if root not in table and self.adopted:
            return set()  # while no engine looked, its number may have been another session's
        return procfs.descendants([root], table) | {pid for pid, one in table.items() if one.session == root}

    def strays(self, subreaper: bool) -> set[int]:
        """What outlived a shim that has ended. Cheap where a cgroup or being the subreaper makes it so."""
        if self.group is not None:
            return cgroup.members(self.group)
        if subreaper and not self.adopted:
            orphans = [pid for pid in procfs.children() if not spawn.is_ours(pid)]
            if not any(self._may_own(pid) for pid in orphans):
                return set()
        return self.members()

    def _may_own(self, orphan: int) -> bool:
        """By its mark, or by its session where it has thrown its environment away."""
        if procfs.carries(orphan, f"{MARKER}={self.marker}".encode()):
            return True
        one = procfs.process(orphan)
        return one is not None and self.root is not None and one.session == self.root.pid


async def stop(tree: Tree, grace: float) -> None:
    """Ask everything to end, wait up to `grace` seconds, kill what is left, and return when nothing is.

    What the kernel will not let go, because it waits for a disk or a server that is gone, is waited for as long.
    """
    if await _asked_to_end(tree, grace):
        return
    for number in itertools.count(1):
        if tree.group is not None:
            cgroup.kill(tree.group)
        found = await asyncio.to_thread(tree.members)
        if not found:
            return
        if number % KILL_ROUNDS == 0:
            logger.error("attempt %s: still there after %d times: %s", tree.marker, number, sorted(found)[:20])
        _signal(found, signal.SIGKILL)
        await spawn.all_ended(sorted(found), ROUND_SECONDS)


async def _asked_to_end(tree: Tree, grace: float) -> bool:
    """Whether the tree is empty before the grace is over.

    Nobody is asked twice, but for a process that runs another program since: between fork and exec it has its shell's
    trap, and loses what it hears. What is started meanwhile is asked as well: a shell whose command has been asked a
    moment before it may have begun the next one by then, and waits for that.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + grace
    asked: dict[int, tuple[int, int] | None] = {}
    look = FIRST_LOOK_SECONDS
    while found := await asyncio.to_thread(tree.members):
        images = {pid: procfs.image(pid) for pid in found}
        _signal({pid for pid, image in images.items() if asked.get(pid) != image}, signal.SIGTERM)
        asked = images
        left = until - loop.time()
        if left <= 0:
            return False
        await spawn.all_ended(sorted(found), min(left, look))
        look = min(2 * look, LAST_LOOK_SECONDS)
    return True


def _signal(pids: set[int], number: signal.Signals) -> None:
    """The youngest first: what keeps an agent's standard input open is older, and its end would be an answer to it."""
    for pid in sorted(pids, reverse=True):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
