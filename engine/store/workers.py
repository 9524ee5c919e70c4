"""Persistent workers as the database keeps them. Operations of the one writer.

A worker belongs to one unfinished job at a time, from that job's first attempt to its end: what it waits for in
between, a limit or an answer, it waits for in the worker, whose directory holds its half-done work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine import events as log
from engine.store.writer import Transaction
from engine.worker import FILE, Kept

_COLUMNS = "name, kept, added_at, job, agent, account, session, workspace, branch, attempt, used_at"
_ALL = f"SELECT {_COLUMNS} FROM workers WHERE kept IS NOT NULL ORDER BY name"
_ONE = f"SELECT {_COLUMNS} FROM workers WHERE name = ?"
_PUT = (
    "INSERT INTO workers (name, kept, added_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET kept = excluded.kept"
)
_FORGET = (
    "UPDATE workers SET added_at = ?, agent = NULL, account = NULL, session = NULL, attempt = NULL, used_at = NULL "
    "WHERE name = ?"
)
_AT_WORK = (
    "SELECT workers.name, workers.job, jobs.state FROM workers JOIN jobs ON jobs.id = workers.job "
    "WHERE workers.job IS NOT NULL"
)
_LAUNCHED = (
    "UPDATE workers SET agent = ?, account = ?, session = ?, workspace = ?, branch = ?, attempt = ?, used_at = ? "
    "WHERE name = ?"
)
_SETTLED = (
    "UPDATE workers SET session = (SELECT session FROM attempts WHERE id = workers.attempt), used_at = ? "
    "WHERE attempt = ?"
)
_WAITING = (
    "SELECT id FROM jobs WHERE worker = ? AND ended_at IS NULL AND id <> ifnull(?, 0) ORDER BY priority, rank, id"
)
_LAST = "SELECT id FROM jobs WHERE worker = ? AND ended_at IS NOT NULL AND attempts > 0 ORDER BY ended_at DESC"


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of `workers`."""

    name: str
    kept: Kept | None
    added_at: int
    job: int | None
    agent: str | None
    account: str | None
    session: str | None
    workspace: str | None
    branch: str | None
    attempt: int | None
    used_at: int | None


def every(tx: Transaction) -> list[Stored]:
    """Those that were not removed, by name."""
    return [_stored(row) for row in tx.connection.execute(_ALL)]


def one(tx: Transaction, name: str) -> Stored | None:
    """One, also where it was removed: then nothing is kept of it but where it worked."""
    row = tx.connection.execute(_ONE, (name,)).fetchone()
    return _stored(row) if row else None


def put(tx: Transaction, name: str, kept: Kept | None, by: str, *, anew: bool = False) -> None:
    """Add, change or, with None, remove one. `anew`: what an earlier one of that name did is not gone on with."""
    encoded = msgspec.json.encode(kept).decode() if kept is not None else None
    tx.connection.execute(_PUT, (name, encoded, tx.now))
    if anew:
        tx.connection.execute(_FORGET, (tx.now, name))
    tx.log(log.WorkerSet(by=by, name=name, kept=kept))


def restore(tx: Transaction, name: str, was: Kept | None, now: Kept | None, by: str) -> str:
    """Take an action on one back, where it stands as the action left it; what to tell of it."""
    found = one(tx, name)
    if (found.kept if found is not None else None) != now:
        return f"the worker {name} has changed since, and stays as it is"
    if was is None and waiting(tx, name, None):
        return f"the worker {name} has jobs, and stays"
    put(tx, name, was, by)
    return f"the worker {name} is {'removed' if was is None else 'there again, with its session and directory'}"


def keep_to(tx: Transaction, wanted: Mapping[str, Kept]) -> list[str]:
    """Bring those of headway.yaml up to what it says. Returns those that it does not name any more and that have jobs
    still: they stay until those have ended."""
    left = []
    for stored in every(tx):
        if stored.kept is not None and stored.kept.by == FILE and stored.name not in wanted:
            if waiting(tx, stored.name, None):
                left.append(stored.name)
            else:
                put(tx, stored.name, None, FILE)
    for name, kept in wanted.items():
        before = one(tx, name)
        if before is None or before.kept != kept:
            put(tx, name, kept, FILE)
    return left


def at_work(tx: Transaction) -> dict[str, tuple[int, str]]:
    """The workers that belong to a job now: which, and its state."""
    return {name: (int(job), str(state)) for name, job, state in tx.connection.execute(_AT_WORK)}


def names(tx: Transaction) -> list[str]:
    return [name for (name,) in tx.connection.execute("SELECT name FROM workers WHERE kept IS NOT NULL")]


def waiting(tx: Transaction, name: str, at_work: int | None) -> list[int]:
    """The unfinished jobs of a worker, in about their order, without the one that is done in it."""
    return [int(job) for (job,) in tx.connection.execute(_WAITING, (name, at_work))]


def ended(tx: Transaction, name: str) -> list[int]:
    """The jobs that were done in it, the newest first."""
    return [int(job) for (job,) in tx.connection.execute(_LAST, (name,))]


def take(tx: Transaction, taken: Sequence[tuple[str, int]]) -> None:
    """Jobs begin in their workers, or go on in them."""
    tx.connection.executemany("UPDATE workers SET job = ? WHERE name = ?", [(job, name) for name, job in taken])


def free(tx: Transaction, ended: Sequence[tuple[str, int]]) -> None:
    """Jobs have ended: the next ones of their workers may begin."""
    for name, job in ended:
        tx.connection.execute("UPDATE workers SET job = NULL WHERE name = ? AND job = ?", (name, job))
        tx.connection.execute("UPDATE lanes SET open = 1 WHERE worker = ?", (name,))


def launched(
    tx: Transaction,
    name: str,
    attempt: int,
    *,
    agent: str,
    account: str | None,
    session: str | None,
    workspace: str,
    branch: str | None,
) -> None:
    """An attempt runs in it: in that session, in that directory."""
    tx.connection.execute(_LAUNCHED, (agent, account, session, workspace, branch, attempt, tx.now, name))


def settled(tx: Transaction, attempts: Sequence[int]) -> None:
    """Attempts have ended: their agents may have told another session than they were started with."""
    tx.connection.executemany(_SETTLED, [(tx.now, attempt) for attempt in attempts])


def _stored(row: Sequence[Any]) -> Stored:
    name, kept, *rest = row
    return Stored(name, msgspec.json.decode(kept, type=Kept) if kept is not None else None, *rest)
