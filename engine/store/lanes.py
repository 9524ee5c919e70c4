"""Lanes: jobs that differ in nothing but their place in the queue. The claim looks at the head of each, and no further.

A lane is open while it may hold a job that can start. Whoever makes a job startable opens its lane; the claim closes
one in which it found nothing. So a lane that nobody uses any more costs nothing, however many there have been.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct

from engine.model import ALL, Target
from engine.store.writer import Transaction


class Lane(Struct, frozen=True, dict=True):
    """What jobs of one lane have in common."""

    agent: str
    model: str | None
    account: str | None
    project: str | None
    tags: str
    kind: str | None
    priority: int
    worker: str | None = None

    @cached_property
    def target(self) -> Target:
        return Target(self.agent, self.model, self.account)

    @cached_property
    def paid_by(self) -> str:
        """The account with its agent, whose windows its attempts meet."""
        return self.target.paid_by

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """Where an attempt of this lane counts: what caps and holds are put on, the widest first."""
        target = self.target
        wide = (ALL, f"agent:{self.agent}", f"account:{target.paid_by}", f"target:{target}")
        own = () if self.worker is None else (f"worker:{self.worker}",)
        return (*wide, f"project:{self.project or ''}", *(f"tag:{tag}" for tag in self.tags.split()), *own)


COLUMNS = "agent, model, account, project, tags, kind, priority, worker"
_FIND = (
    "SELECT id, open FROM lanes WHERE agent = ? AND model IS ? AND account IS ? AND project IS ? AND tags = ? "
    "AND kind IS ? AND priority = ? AND worker IS ?"
)


def number(tx: Transaction, lane: Lane, *, opened: bool) -> int:
    """The number of a lane, made if it is new; open afterwards where it should be."""
    known = tx.lanes.get(lane)
    if known is not None:
        return known
    found = _number(tx.connection, lane, opened=opened)
    if opened:
        tx.lanes[lane] = found
    return found


def _number(connection: sqlite3.Connection, lane: Lane, *, opened: bool) -> int:
    named = (lane.agent, lane.model, lane.account, lane.project, lane.tags, lane.kind, lane.priority, lane.worker)
    found = connection.execute(_FIND, named).fetchone()
    if found is None:
        made = connection.execute(
            f"INSERT INTO lanes ({COLUMNS}, open) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*named, opened)
        )
        return made.lastrowid or 0
    if opened and not found[1]:
        connection.execute("UPDATE lanes SET open = 1 WHERE id = ?", (found[0],))
    return int(found[0])


def open_for(connection: sqlite3.Connection, job: int) -> None:
    """Open the lane of a job that can start now."""
    connection.execute("UPDATE lanes SET open = 1 WHERE open = 0 AND id = (SELECT lane FROM jobs WHERE id = ?)", (job,))


def named(values: Sequence[Any]) -> Lane:
    """A lane from its columns, in the order of `COLUMNS`."""
    return Lane(*values)
