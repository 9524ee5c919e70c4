"""Hand-offs as the database keeps them. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine import events as log
from engine.errors import NotFoundError, UsageError
from engine.hand_off import HEADWAY, Cause, HandOff, Stored
from engine.store.fold import record
from engine.store.rows import read_job
from engine.store.writer import Transaction

KEPT = 50  #: of one job, the newest: an agent may write one after another

_COLUMNS = (
    "h.id, h.job, h.at, h.by, h.cause, h.note, "
    "(SELECT number FROM attempts WHERE attempts.id = h.attempt), "
    "(SELECT number FROM attempts WHERE attempts.id = h.told)"
)
_OF_JOB = f"SELECT {_COLUMNS} FROM hand_offs AS h WHERE h.job = ? ORDER BY h.id"
_ONE = f"SELECT {_COLUMNS} FROM hand_offs AS h WHERE h.id = ?"
_NEWEST = f"SELECT {_COLUMNS} FROM hand_offs AS h WHERE h.job = ? AND (h.by <> ?) = ? ORDER BY h.id DESC LIMIT 1"
_ATTEMPT = "SELECT id FROM attempts WHERE job = ? AND number = ?"
_OLD = (
    "DELETE FROM hand_offs WHERE job = ? AND id <= "
    "(SELECT id FROM hand_offs WHERE job = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
)


def store_hand_off(
    tx: Transaction, job: int, note: HandOff, *, by: str, cause: Cause = Cause.OWN, attempt: int | None = None
) -> Stored:
    """Keep a hand-off of a job. `attempt`: the row of the attempt that it is about; unset, the newest one.

    Whoever writes it has taken the keys out of it. Raises `NotFoundError`, and `UsageError` for one that says nothing.
    """
    row = read_job(tx.connection, job)
    if row is None:
        raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
    if note.empty:
        raise UsageError("a hand-off says something of goal, state, done, next or traps")
    about = attempt if attempt is not None else row.attempt
    number = (
        tx.connection.execute(
            "INSERT INTO hand_offs (job, attempt, at, by, cause, note) VALUES (?, ?, ?, ?, ?, ?)",
            (job, about, tx.now, by, cause, msgspec.json.encode(note).decode()),
        ).lastrowid
        or 0
    )
    tx.connection.execute(_OLD, (job, job, KEPT))
    record(tx, row, log.HandOffStored(number, by, cause), about)
    return _stored(tx.connection.execute(_ONE, (number,)).fetchone())


def attempt_of(tx: Transaction, job: int, number: int | None) -> int | None:
    """The row of an attempt by its number among those of its job. Raises `NotFoundError`."""
    if number is None:
        return None
    found = tx.connection.execute(_ATTEMPT, (job, number)).fetchone()
    if found is None:
        raise NotFoundError(f"job {job} has no attempt {number}")
    return int(found[0])


def of_job(tx: Transaction, job: int) -> list[Stored]:
    """All that were kept, the oldest first."""
    return [_stored(row) for row in tx.connection.execute(_OF_JOB, (job,))]


def newest(tx: Transaction, job: int, *, own: bool) -> Stored | None:
    """The newest that somebody wrote (`own`), or that was made from the record."""
    row = tx.connection.execute(_NEWEST, (job, HEADWAY, own)).fetchone()
    return _stored(row) if row else None


def tell(tx: Transaction, ids: Sequence[int], attempt: int) -> None:
    """An attempt was told these."""
    tx.connection.executemany("UPDATE hand_offs SET told = ? WHERE id = ?", [(attempt, one) for one in ids])


def _stored(row: Sequence[Any]) -> Stored:
    number, job, at, by, cause, note, attempt, told = row
    return Stored(
        id=number,
        job=job,
        at=at,
        by=by,
        cause=Cause(cause),
        note=msgspec.json.decode(note, type=HandOff),
        attempt=attempt,
        told=told,
    )
