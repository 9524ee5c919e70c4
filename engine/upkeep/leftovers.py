"""What ended jobs leave in the database beside themselves: tokens, batches, merges, sessions that nothing refers to.

They are looked for on a connection that only reads, because that reads whole tables, and removed by their keys.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from engine.store.writer import Transaction

LIMIT = 1_000  #: of each kind at once

_TOKENS = (
    "SELECT token FROM submissions WHERE at < ? AND NOT EXISTS "
    "(SELECT 1 FROM json_each(submissions.ids, '$.ids') AS named JOIN jobs ON jobs.id = named.value) LIMIT ?"
)
_BATCHES = (
    "SELECT id FROM batches WHERE at < ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.batch = batches.id) "
    "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = batches.follow_up) LIMIT ?"
)
_SESSIONS = (
    "SELECT agent, id FROM sessions WHERE used_at < ? AND (agent, id) NOT IN ("
    "SELECT agent, session FROM attempts WHERE session IS NOT NULL "
    "UNION ALL SELECT agent, resumes FROM attempts WHERE resumes IS NOT NULL) LIMIT ?"
)
_MERGES = (
    "SELECT id FROM merges WHERE ended_at < ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = merges.job) LIMIT ?"
)
_PIPELINES = (
    "SELECT id FROM pipelines WHERE ended_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.batch = pipelines.batch) LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Keys of what may go: tokens of submissions, sessions as agent and id, numbers of the others."""

    before: int
    tokens: tuple[tuple[str], ...] = ()
    batches: tuple[tuple[int], ...] = ()
    sessions: tuple[tuple[str, str], ...] = ()
    merges: tuple[tuple[int], ...] = ()
    pipelines: tuple[tuple[int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tokens or self.batches or self.sessions or self.merges or self.pipelines)


def find(connection: sqlite3.Connection, before: int) -> Leftovers:
    """What nothing refers to and nobody has used since that time."""
    ask = (before, LIMIT)
    return Leftovers(
        before,
        tuple(connection.execute(_TOKENS, ask).fetchall()),
        tuple(connection.execute(_BATCHES, ask).fetchall()),
        tuple(connection.execute(_SESSIONS, ask).fetchall()),
        tuple(connection.execute(_MERGES, ask).fetchall()),
        tuple(connection.execute(_PIPELINES, ask).fetchall()),
    )


def remove(tx: Transaction, found: Leftovers) -> None:
    """Remove them. A session that an attempt has taken up meanwhile stays."""
    run = tx.connection.executemany
    run("DELETE FROM submissions WHERE token = ?", found.tokens)
    run("DELETE FROM batches WHERE id = ?", found.batches)
    run("DELETE FROM merges WHERE id = ?", found.merges)
    run("DELETE FROM pipeline_steps WHERE pipeline = ?", found.pipelines)
    run("DELETE FROM pipelines WHERE id = ?", found.pipelines)
    run(
        "DELETE FROM sessions WHERE agent = ? AND id = ? AND used_at < ?",
        [(*session, found.before) for session in found.sessions],
    )
    run(
        "DELETE FROM compactions WHERE agent = ?1 AND session = ?2 "
        "AND NOT EXISTS (SELECT 1 FROM sessions WHERE agent = ?1 AND id = ?2)",
        found.sessions,
    )
