"""Which process belongs to which attempt, for all running attempts in one look at /proc.

`tree.Tree` answers the same for one attempt and leaves nothing out, at the price of reading every process each time. It
is asked when an attempt is ended; this is asked every few seconds, and remembers what it has found out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from engine.runner import cgroup, procfs
from engine.runner.procfs import Process
from engine.runner.tree import MARKER, Tree

Known = tuple[int, int]  #: a pid and when it was started


class Census:
    """Remembers whose a process was: one that has left its tree is still its attempt's."""

    def __init__(self) -> None:
        self._owners: dict[Known, int] = {}
        self._marks: dict[Known, str] = {}

    def take(self, trees: Mapping[int, Tree]) -> dict[int, set[int]]:
        """The pids of each attempt. Blocks: call it in a thread."""
        found = {attempt: cgroup.members(tree.group) for attempt, tree in trees.items() if tree.group is not None}
        loose = {attempt: tree for attempt, tree in trees.items() if tree.group is None}
        if not loose:
            return found
        found |= {attempt: set() for attempt in loose}
        table = procfs.processes()
        table.pop(os.getpid(), None)  # an agent may have started this engine: what is below it is not the agent's
        for pid, attempt in self._owned(table, loose).items():
            found[attempt].add(pid)
        return found

    def _owned(self, table: Mapping[int, Process], trees: Mapping[int, Tree]) -> dict[int, int]:
        """Pid -> attempt: by what was known, by the session of a shim, by descent, and by the marker."""
        sessions = _sessions(table, trees)
        owned: dict[int, int] = {}
        for pid, one in table.items():
            attempt = sessions.get(one.session, self._owners.get((pid, one.started)))
            if attempt is not None and attempt in trees:
                owned[pid] = attempt
        _spread(owned, table)
        marked = {tree.marker: attempt for attempt, tree in trees.items()}
        strangers = {(pid, one.started) for pid, one in table.items() if pid not in owned}
        self._marks = {one: self._marks[one] if one in self._marks else _mark(one[0]) for one in strangers}
        for (pid, _), mark in self._marks.items():
            if mark in marked:
                owned[pid] = marked[mark]
        _spread(owned, table)
        self._owners = {(pid, table[pid].started): attempt for pid, attempt in owned.items()}
        return owned


def _sessions(table: Mapping[int, Process], trees: Mapping[int, Tree]) -> dict[int, int]:
    """The sessions that shims lead or, having ended, have led, as `tree.Tree` believes them."""
    found = {}
    for attempt, tree in trees.items():
        root = tree.root
        if root is None or root.boot != procfs.boot_id():
            continue
        there = table.get(root.pid)
        if (there is None and not tree.adopted) or (there is not None and there.started == root.started):
            found[root.pid] = attempt
    return found


def _spread(owned: dict[int, int], table: Mapping[int, Process]) -> None:
    """Give what is below a process to the attempt of that process, but for what has an owner."""
    below: dict[int, list[int]] = {}
    for one in table.values():
        if one.pid not in owned:
            below.setdefault(one.parent, []).append(one.pid)
    waiting = list(owned)
    while waiting:
        pid = waiting.pop()
        for child in below.pop(pid, ()):
            owned[child] = owned[pid]
            waiting.append(child)


def _mark(pid: int) -> str:
    return (procfs.value_of(pid, MARKER.encode()) or b"").decode(errors="replace")
