"""What telemetry reads: the ends of attempts and jobs, with all that is told of them. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from engine import events as log
from engine.model import Usage
from engine.store.rows import (
    SELECT_ATTEMPT,
    SELECT_USAGE,
    AttemptRow,
    JobRow,
    attempt_row,
    read_job,
    usage_row,
)
from engine.store.writer import Transaction

READ = 200  #: ends that are read in one go
ENDS = (log.Succeeded, log.Failed, log.Cancelled, log.Requeued, log.Parked, log.Gated)

_KINDS = [str(kind.__struct_config__.tag) for kind in ENDS]
_ENDS = (
    "SELECT seq, at, job, attempt, body FROM events WHERE seq > ? "
    "AND json_extract(body, '$.kind') IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?"
)
_LIFE = "SELECT count(*) FROM events WHERE job = ? AND seq < ? AND json_extract(body, '$.kind') = 'retried'"
_PARENT = (
    "SELECT jobs.id, jobs.created_at, children.attempt FROM children JOIN jobs ON jobs.id = children.parent "
    "WHERE children.job = ?"
)
_NEWEST = "SELECT ifnull(max(seq), 0) FROM events"


@dataclass(frozen=True, slots=True)
class Above:
    """The attempt whose agent submitted a job."""

    job: int
    created_at: int
    attempt: int


@dataclass(frozen=True, slots=True)
class End:
    """An attempt or a job has ended."""

    event: log.Event
    job: JobRow
    life: int
    """How often the operator had it tried again before."""
    attempt: AttemptRow | None
    usage: Sequence[Usage]
    above: Above | None


@dataclass(frozen=True, slots=True)
class Read:
    ends: list[End]
    up_to: int
    more: bool


def read(tx: Transaction, after: int) -> Read:
    """The ends after an event of the log."""
    newest = int(tx.connection.execute(_NEWEST).fetchone()[0])
    found = tx.connection.execute(_ENDS, (after, msgspec.json.encode(_KINDS).decode(), READ)).fetchall()
    decode = msgspec.json.Decoder(log.AnyBody).decode
    events = [
        log.Event(seq=seq, at=at, job=job, attempt=tried, body=decode(body)) for seq, at, job, tried, body in found
    ]
    ends = [end for event in events if (end := _end(tx, event)) is not None]
    more = len(found) == READ
    return Read(ends, events[-1].seq if more else max(newest, after), more)


def _end(tx: Transaction, event: log.Event) -> End | None:
    row = read_job(tx.connection, event.job) if event.job is not None else None
    if row is None:
        return None  # pruned since
    found = tx.connection.execute(f"{SELECT_ATTEMPT} WHERE id = ?", (event.attempt,)).fetchone()
    usage = [usage_row(one) for one in tx.connection.execute(SELECT_USAGE, (event.attempt,))] if found else []
    life = int(tx.connection.execute(_LIFE, (row.id, event.seq)).fetchone()[0])
    above = tx.connection.execute(_PARENT, (row.id,)).fetchone()
    return End(event, row, life, attempt_row(found) if found else None, usage, Above(*above) if above else None)
