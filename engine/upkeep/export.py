"""Jobs or events as lines for other programs: NDJSON or CSV, in as much memory as one page takes.

Each page is a short look of its own, so that a slow reader does not keep the engine from tidying its journal. What is
submitted after the export began is not in it. NDJSON holds values as they are. In CSV a text that a spreadsheet would
take for a formula gets a quote before it: a title may come from anywhere.
"""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import NotFoundError
from engine.model import Attempt, Job, JobSpec
from engine.runner.run_dir import run_dir
from engine.store.filter import EVERYTHING, Filter
from engine.store.rows import (
    SELECT_ATTEMPT,
    SELECT_JOB,
    SELECT_USAGE,
    attempt_rows,
    job_row,
    read_spec,
    usage_row,
)
from engine.upkeep.reading import reading

PAGE = 500  #: jobs or events of one look
PAGE_BYTES = 4 << 20  #: and no more than this of what they become: a prompt can be long

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  #: what begins so may be computed
TIMES = frozenset({"at", "created_at", "started_at", "ended_at", "not_before", "deadline"})  #: get a twin in words
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_JOBS = f"{SELECT_JOB} WHERE id > ? AND id <= ? AND ({{where}}) ORDER BY id LIMIT {PAGE}"
_EVENTS = (
    f"SELECT seq, at, job, attempt, body FROM events WHERE seq > ? AND seq <= ?{{which}} ORDER BY seq LIMIT {PAGE}"
)
_OF_JOBS = " AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = events.job AND ({where}))"
_ATTEMPTS = f"{SELECT_ATTEMPT} WHERE job = ? ORDER BY number"

Record = dict[str, Any]


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


class What(StrEnum):
    JOBS = "jobs"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one sort of thing is read and what its columns in CSV are called."""

    last: str
    page: Callable[[sqlite3.Connection, Path, Filter, int, int], Iterator[tuple[int, Record]]]
    columns: tuple[str, ...]
    flat: Callable[[Record], Record]


def export(path: Path, what: What, form: Format, chosen: Filter = EVERYTHING) -> Iterator[bytes]:
    """The lines of an export, oldest first; in CSV the first one holds the names of the columns.

    `path` is the database. Raises `NotFoundError`, also where there is nothing to write, `RefusedError` or
    `StorageError` with what to do.
    """
    kind = _KINDS[what]
    home = path.absolute().parent
    with reading(path) as connection:
        heads = [_csv_line(kind.columns)] if form is Format.CSV else []
        last = int(connection.execute(kind.last).fetchone()[0])
        after, empty = 0, True
        while after < last:
            lines, after = _page(connection, kind, form, home, chosen, after, last)
            if lines:
                yield from heads
                heads, empty = [], False
            yield from lines
    if empty:
        raise NotFoundError(f"there are no such {what}, and nothing was written; `headway jobs` takes the same filter")


def _page(
    connection: sqlite3.Connection, kind: _Kind, form: Format, home: Path, chosen: Filter, after: int, last: int
) -> tuple[list[bytes], int]:
    """One page, all of one moment: its lines, and after which number the next one begins."""
    lines: list[bytes] = []
    size = count = 0
    connection.execute("BEGIN")
    try:
        for number, record in kind.page(connection, home, chosen, after, last):
            count, after = count + 1, number
            line = _json_line(record) if form is Format.NDJSON else _csv_line(_cells(kind, record))
            lines.append(line)
            size += len(line)
            if size > PAGE_BYTES:
                return lines, after
    finally:
        connection.execute("ROLLBACK")
    return lines, after if count == PAGE else last


def _job_page(
    connection: sqlite3.Connection, home: Path, chosen: Filter, after: int, last: int
) -> Iterator[tuple[int, Record]]:
    sql = _JOBS.format(where=chosen.where)
    for values in connection.execute(sql, (after, last, *chosen.values)):
        row = job_row(values)
        attempts = [
            tried.as_attempt(
                [usage_row(found) for found in connection.execute(SELECT_USAGE, (tried.id,))],
                str(run_dir(home, row.id, tried.number).path),
            )
            for tried in attempt_rows(connection.execute(_ATTEMPTS, (row.id,)))
        ]
        yield row.id, _job_record(row.as_job(), read_spec(connection, row), attempts)


def _job_record(job: Job, spec: JobSpec, attempts: list[Attempt]) -> Record:
    return {
        "job": _told(msgspec.to_builtins(job)),
        "spec": msgspec.to_builtins(spec),
        "attempts": [_told(msgspec.to_builtins(tried)) for tried in attempts],
    }


def _flat_job(record: Record) -> Record:
    """A job as one row: what it is in columns, and its spec and attempts as JSON in one column each."""
    job = {**record["job"], "tags": " ".join(record["job"]["tags"])}
    return {**job, "spec": _json(record["spec"]), "attempt_list": _json(record["attempts"])}


def _event_page(
    connection: sqlite3.Connection, home: Path, chosen: Filter, after: int, last: int
) -> Iterator[tuple[int, Record]]:
    which = "" if chosen == EVERYTHING else _OF_JOBS.format(where=chosen.where)
    for seq, at, job, attempt, body in connection.execute(_EVENTS.format(which=which), (after, last, *chosen.values)):
        event = {"seq": seq, "at": at, "job": job, "attempt": attempt, "body": msgspec.json.decode(body)}
        yield seq, _told(event)


def _flat_event(record: Record) -> Record:
    return {**record, "kind": record["body"].get("kind"), "body": _json(record["body"])}


def _told(record: Record) -> Record:
    """The same with each time also in words, right behind its milliseconds."""
    told: Record = {}
    for name, value in record.items():
        told[name] = value
        if name in TIMES:
            told[f"{name}_utc"] = None if value is None else utc(value)
    return told


def utc(at: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    try:
        return f"{(_EPOCH + timedelta(milliseconds=at)).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
    except OverflowError:
        return "9999-12-31T23:59:59.999Z"


def _columns(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_told(dict.fromkeys(names)))


def _cells(kind: _Kind, record: Record) -> list[object]:
    flat = kind.flat(record)
    return [_inert(flat.get(name)) for name in kind.columns]


def _inert(value: object) -> object:
    """A cell that no spreadsheet computes (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _json_line(record: Record) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def _csv_line(cells: tuple[str, ...] | list[object]) -> bytes:
    """RFC 4180: quotes where they are needed, lines end with CR LF."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


_KINDS = {
    What.JOBS: _Kind(
        "SELECT ifnull(max(id), 0) FROM jobs",
        _job_page,
        (*_columns(Job.__struct_fields__), "spec", "attempt_list"),
        _flat_job,
    ),
    What.EVENTS: _Kind(
        "SELECT ifnull(max(seq), 0) FROM events",
        _event_page,
        _columns(("seq", "at", "job", "attempt", "kind", "body")),
        _flat_event,
    ),
}
