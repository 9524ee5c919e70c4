"""Schedules as the database keeps them. Operations of the one writer; `firing` lets their times come."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine import events as log
from engine.schedule import FILE, Firing, Kept, Outcome
from engine.store.writer import Transaction
from engine.timetable import zone_of

_COLUMNS = "name, kept, zone, added_at, last_fire_at, next_fire_at"
_ALL = f"SELECT {_COLUMNS} FROM schedules ORDER BY name"
_ONE = f"SELECT {_COLUMNS} FROM schedules WHERE name = ?"
_DUE = f"SELECT {_COLUMNS} FROM schedules WHERE next_fire_at <= ? ORDER BY next_fire_at, name"
_NEXT = "SELECT min(next_fire_at) FROM schedules WHERE next_fire_at IS NOT NULL"
_PUT = (
    "INSERT INTO schedules (name, kept, zone, added_at, last_fire_at, next_fire_at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET kept = excluded.kept, zone = excluded.zone, "
    "last_fire_at = excluded.last_fire_at, next_fire_at = excluded.next_fire_at"
)
_FIRINGS = "SELECT fire_at, at, outcome, job, reason FROM firings WHERE schedule = ? ORDER BY fire_at DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of `schedules`."""

    name: str
    kept: Kept
    zone: str
    added_at: int
    last_fire_at: int
    next_fire_at: int | None


def every(tx: Transaction) -> list[Stored]:
    return [_stored(row) for row in tx.connection.execute(_ALL)]


def one(tx: Transaction, name: str) -> Stored | None:
    row = tx.connection.execute(_ONE, (name,)).fetchone()
    return _stored(row) if row else None


def due(tx: Transaction) -> list[Stored]:
    """Those to be looked at by now, the first one first."""
    return [_stored(row) for row in tx.connection.execute(_DUE, (tx.now,))]


def next_due(tx: Transaction) -> int | None:
    """When the next one is to be looked at."""
    found = tx.connection.execute(_NEXT).fetchone()[0]
    return None if found is None else int(found)


def firings(tx: Transaction, name: str, limit: int) -> list[Firing]:
    """What became of the newest times of one, the newest first."""
    return [_firing(row) for row in tx.connection.execute(_FIRINGS, (name, limit))]


def put(tx: Transaction, name: str, kept: Kept | None, by: str) -> None:
    """Add, change or, with None, remove one. Its times count from now on, unless only its job or its rules changed.

    What was decided before stays decided: a time never fires twice.
    """
    before = one(tx, name)
    if kept is None:
        tx.connection.execute("DELETE FROM schedules WHERE name = ?", (name,))
    else:
        zone = zone_of(kept.spec.zone)
        same = before is not None and _times(before.kept, before.zone) == _times(kept, zone)
        last = before.last_fire_at if before is not None and same and before.kept.paused_by is None else tx.now
        added = before.added_at if before is not None else tx.now
        # At once: whoever looks next works out when its next time is.
        looked = None if kept.paused_by is not None else tx.now
        encoded = msgspec.json.encode(kept).decode()
        tx.connection.execute(_PUT, (name, encoded, zone, added, last, looked))
    tx.log(log.ScheduleSet(by=by, name=name, kept=kept))


def restore(tx: Transaction, name: str, was: Kept | None, now: Kept | None, by: str) -> str:
    """Take an action on one back, where it stands as the action left it; what to tell of it."""
    found = one(tx, name)
    if (found.kept if found is not None else None) != now:
        return f"the schedule {name} has changed since, and stays as it is"
    put(tx, name, was, by)
    if was is None:
        return f"the schedule {name} is removed"
    paused = f", paused by {was.paused_by}" if was.paused_by is not None else ""
    return f"the schedule {name} is as it was{paused}"


def keep_to(tx: Transaction, wanted: Mapping[str, Kept]) -> None:
    """Bring those of headway.yaml up to what it says. An operator's pause of one outlasts that."""
    for stored in every(tx):
        if stored.kept.by == FILE and stored.name not in wanted:
            put(tx, stored.name, None, FILE)
    for name, kept in wanted.items():
        before = one(tx, name)
        if before is not None:
            kept = msgspec.structs.replace(kept, paused_by=before.kept.paused_by)
        if before is None or before.kept != kept:
            put(tx, name, kept, FILE)


def begin_anew(tx: Transaction, stored: Stored) -> None:
    """The clock was set back by far: go by what it says now. Times that were decided stay decided."""
    if one(tx, stored.name) == stored:
        tx.connection.execute(
            "UPDATE schedules SET last_fire_at = ?, next_fire_at = ? WHERE name = ?", (tx.now, tx.now, stored.name)
        )


def put_off(tx: Transaction, stored: Stored, until: int) -> None:
    """Look at it again only then: something went wrong."""
    tx.connection.execute("UPDATE schedules SET next_fire_at = ? WHERE name = ?", (until, stored.name))


def _times(kept: Kept, zone: str) -> tuple[str, str, object]:
    """What its times depend on."""
    return kept.spec.cron, zone, kept.spec.jitter


def _stored(row: Sequence[Any]) -> Stored:
    name, kept, zone, added_at, last_fire_at, next_fire_at = row
    return Stored(name, msgspec.json.decode(kept, type=Kept), zone, added_at, last_fire_at, next_fire_at)


def _firing(row: Sequence[Any] | sqlite3.Row) -> Firing:
    fire_at, at, outcome, job, reason = row
    return Firing(fire_at=fire_at, at=at, outcome=Outcome(outcome), job=job, reason=reason)
