"""What went on in a home after a backup of it was taken, told by the database that the backup takes the place of.

A job that waited when the backup was taken may have run since: by the backup alone it would run a second time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from engine.clock import now_ms
from engine.model import Verb
from engine.store.schema import open_writer
from engine.store.verbs import Request, act
from engine.store.writer import Transaction

BY = "restore"  #: who holds such a job: `headway jobs held:restore`

_LIVE = "SELECT marker FROM attempts WHERE ended_at IS NULL"
_UNFINISHED = "SELECT id, created_at, attempts FROM jobs WHERE state IN ('blocked', 'ready', 'running', 'gating')"
_NOW = "SELECT created_at, attempts, ended_at FROM jobs WHERE id = ?"
_NEWEST = "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"
_LANDMARK = "SELECT seq, at, body FROM events WHERE job IS NULL ORDER BY seq DESC LIMIT 1"
_SAME = "SELECT 1 FROM events WHERE seq = ? AND at = ? AND body = ? AND job IS NULL"


@dataclass(frozen=True, slots=True)
class Since:
    """How the present database goes on from the backup."""

    strangers: int = 0
    """Attempts that run by the present one and that the backup does not know."""
    went_on: tuple[int, ...] = ()
    """Jobs that had not ended in the backup, and have run or ended since."""


def since(backup: sqlite3.Connection, present: sqlite3.Connection) -> Since:
    """Compare them. Jobs are the same where id and time of submission are."""
    live = {row[0] for row in backup.execute(_LIVE)}
    strangers = {row[0] for row in present.execute(_LIVE)} - live
    pruned_up_to = _newest(present) if _goes_on(backup, present) else 0
    went_on = []
    for job, created_at, attempts in backup.execute(_UNFINISHED).fetchall():
        found = present.execute(_NOW, (job,)).fetchone()
        if found is None:
            moved = job <= pruned_up_to  # it ended, and was pruned
        else:
            moved = found[0] == created_at and (found[2] is not None or found[1] > attempts)
        if moved:
            went_on.append(job)
    return Since(len(strangers), tuple(went_on))


def _goes_on(backup: sqlite3.Connection, present: sqlite3.Connection) -> bool:
    """Whether the one is what became of the other: events of no job are never removed, nor written twice."""
    landmark = backup.execute(_LANDMARK).fetchone()
    return landmark is not None and present.execute(_SAME, landmark).fetchone() is not None


def _newest(connection: sqlite3.Connection) -> int:
    found = connection.execute(_NEWEST).fetchone()
    return int(found[0]) if found else 0


def hold(path: Path, jobs: tuple[int, ...]) -> int:
    """Hold jobs in a database that no engine serves, as the operator would. Returns how many were not held before."""
    with contextlib.closing(open_writer(path)) as connection:
        tx = Transaction(connection, now_ms())
        connection.execute("BEGIN IMMEDIATE")
        acted = act(tx, Request(Verb.HOLD, jobs, BY))
        tx.write_counts()
        connection.execute("COMMIT")
    return len(acted.result.done)
