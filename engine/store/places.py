"""Places in the queue: the ranks of jobs that are moved between others."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import State
from engine.store.fold import RANK_BITS
from engine.store.rows import SELECT_JOB, JobRow, job_row, read_job

_WAITING = "state IN ('ready', 'blocked') AND priority = ?"
_FIRST = f"SELECT min(rank) FROM jobs WHERE {_WAITING}"
_LAST = f"SELECT max(rank) FROM jobs WHERE {_WAITING}"
_PREVIOUS = f"{SELECT_JOB} WHERE {_WAITING} AND (rank, id) < (?, ?) ORDER BY rank DESC, id DESC LIMIT ?"
_NEXT = f"{SELECT_JOB} WHERE {_WAITING} AND (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?"

LOOK = 16  #: jobs that may have to step aside, to begin with
DISTANCE = 1 << 10  #: between ranks where it was made anew: ten moves to one place need no more of it


class Where(StrEnum):
    FIRST = "first"
    LAST = "last"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Place:
    """First or last among jobs of the same priority; or beside another job, whose priority is then taken."""

    where: Where
    other: int | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """`first`, `last`, `before:12` or `after:12`. Raises `UsageError`."""
        word, _, job = text.strip().lower().partition(":")
        if word in (Where.FIRST, Where.LAST) and not job:
            return cls(Where(word))
        if word in (Where.BEFORE, Where.AFTER) and re.fullmatch(r"j?\d{1,18}", job):
            return cls(Where(word), int(job.lstrip("j")))
        raise UsageError(f"{text!r} is no place in the queue; write first, last, before:12 or after:12")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a job comes to stand."""

    job: JobRow
    rank: int
    priority: int


def places(
    connection: sqlite3.Connection, moved: Sequence[JobRow], place: Place
) -> tuple[Sequence[Spot], Sequence[Spot]]:
    """A place for each of the moved jobs, so that they stand there in the order given; and for those that step aside.

    Raises `NotFoundError` or `RefusedError` for a place beside a job that does not wait.
    """
    if place.other is None:
        return [_at_end(connection, moved, index, place.where) for index in range(len(moved))], ()
    other = read_job(connection, place.other)
    if other is None:
        raise NotFoundError(f"there is no job {place.other}")
    if other.state not in (State.READY, State.BLOCKED):
        raise RefusedError(f"J{other.id} is {other.state} and has no place in the queue any more")
    if any(row.id == other.id for row in moved):
        raise UsageError(f"J{other.id} cannot be moved beside itself")
    before = place.where is Where.BEFORE
    found = connection.execute(_PREVIOUS if before else _NEXT, (other.priority, other.rank, other.id, 1)).fetchone()
    beside = job_row(found).rank if found else other.rank + ((-1 if before else 1) << RANK_BITS) * (len(moved) + 1)
    low, high = sorted((beside, other.rank))
    step = (high - low) // (len(moved) + 1)
    if step == 0:
        return _spread(connection, moved, other, before=before)
    return _row(moved, low, step, other.priority), ()


def _spread(
    connection: sqlite3.Connection, moved: Sequence[JobRow], other: JobRow, *, before: bool
) -> tuple[Sequence[Spot], Sequence[Spot]]:
    """No rank is left there: as many of those behind step aside as it takes to stand at a distance again.

    Twice as many are looked at each time that these are not enough, so that a thousand moves to one place cost little
    each.
    """
    going = {row.id for row in moved}
    low, reach = other.rank, len(moved) + LOOK
    if before:
        previous = connection.execute(_PREVIOUS, (other.priority, other.rank, other.id, len(moved) + 1))
        low = next((row.rank for row in map(job_row, previous) if row.id not in going), other.rank - (1 << RANK_BITS))
    while True:
        found = connection.execute(_NEXT, (other.priority, other.rank, other.id, reach)).fetchall()
        behind = [*([other] if before else []), *(row for row in map(job_row, found) if row.id not in going)]
        order = [*moved, *behind]
        if len(found) < reach:
            step = 1 << RANK_BITS
            break
        last = order.pop()  # it stays where it is
        step = (last.rank - low) // (len(order) + 1)
        if step >= DISTANCE:
            break
        reach *= 2
    spots = _row(order, low, step, other.priority)
    return spots[: len(moved)], spots[len(moved) :]


def _row(jobs: Sequence[JobRow], low: int, step: int, priority: int) -> list[Spot]:
    return [Spot(row, low + step * (index + 1), priority) for index, row in enumerate(jobs)]


def _at_end(connection: sqlite3.Connection, moved: Sequence[JobRow], index: int, where: Where) -> Spot:
    priority = moved[index].priority
    edge = connection.execute(_FIRST if where is Where.FIRST else _LAST, (priority,)).fetchone()[0]
    far = index - len(moved) if where is Where.FIRST else index + 1
    return Spot(moved[index], int(edge) + (far << RANK_BITS), priority)
