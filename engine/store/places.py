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
from engine.store.rows import JobRow, read_job

_WAITING = "state IN ('ready', 'blocked') AND priority = ?"
_FIRST = f"SELECT min(rank) FROM jobs WHERE {_WAITING}"
_LAST = f"SELECT max(rank) FROM jobs WHERE {_WAITING}"
_BELOW = f"SELECT max(rank) FROM jobs WHERE {_WAITING} AND rank < ?"
_ABOVE = f"SELECT min(rank) FROM jobs WHERE {_WAITING} AND rank > ?"


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


def ranks(connection: sqlite3.Connection, moved: Sequence[JobRow], place: Place) -> list[tuple[int, int]]:
    """Rank and priority for each of the moved jobs, so that they stand there in the order given.

    Raises `NotFoundError` or `RefusedError` for a place beside a job that does not wait.
    """
    if place.other is None:
        return [_at_end(connection, moved, index, place.where) for index in range(len(moved))]
    other = read_job(connection, place.other)
    if other is None:
        raise NotFoundError(f"there is no job {place.other}")
    if other.state not in (State.READY, State.BLOCKED):
        raise RefusedError(f"J{other.id} is {other.state} and has no place in the queue any more")
    if any(row.id == other.id for row in moved):
        raise UsageError(f"J{other.id} cannot be moved beside itself")
    before = place.where is Where.BEFORE
    beside = connection.execute(_BELOW if before else _ABOVE, (other.priority, other.rank)).fetchone()[0]
    if beside is None:
        beside = other.rank + ((-1 if before else 1) << RANK_BITS) * (len(moved) + 1)
    low, high = sorted((int(beside), other.rank))
    step = (high - low) // (len(moved) + 1)
    if step == 0:
        raise RefusedError(f"there is no room left beside J{other.id}; move to another place first")
    return [(low + step * (index + 1), other.priority) for index in range(len(moved))]


def _at_end(connection: sqlite3.Connection, moved: Sequence[JobRow], index: int, where: Where) -> tuple[int, int]:
    priority = moved[index].priority
    edge = connection.execute(_FIRST if where is Where.FIRST else _LAST, (priority,)).fetchone()[0]
    far = index - len(moved) if where is Where.FIRST else index + 1
    return int(edge) + (far << RANK_BITS), priority
