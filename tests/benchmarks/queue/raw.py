"""What SQLite itself can do: the standard library's sqlite3, one connection, WAL, synchronous=FULL.

Two baselines. `Minimal` keeps one table. `SameRows` writes for each job what Headway writes: the job, its attempt and
as many events. Both commit twice a batch, once for 64 claims and once for 64 settlements.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.queue.systems import BATCH, Blocking, Size, Work

SERIES = "WITH RECURSIVE series(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < :rows)"

#: SQLite puts the log into the database after 1,000 pages of 4 KiB; a submit of 1,000 jobs goes some way past that.
_LOG_BYTES = 8 << 20
_PIECE = 64 << 10

_JOBS = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, state TEXT NOT NULL, title TEXT NOT NULL, agent TEXT NOT NULL, priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, attempt INTEGER
) STRICT;
CREATE INDEX jobs_ready ON jobs (priority, id) WHERE state = 'ready';
"""
_MORE = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, job INTEGER NOT NULL, number INTEGER NOT NULL, marker TEXT NOT NULL,
    created_at INTEGER NOT NULL, ended_at INTEGER, exit_code INTEGER, succeeded INTEGER
) STRICT;
CREATE INDEX attempts_of_job ON attempts (job, number);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, job INTEGER NOT NULL, attempt INTEGER, body TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_job ON events (job, seq);
"""
_SUBMITTED = '{"kind":"submitted","spec":{"prompt":"true","agent":"shell"},"title":"true","agent":"shell"}'
_CLAIMED = '{"kind":"claimed","number":1}'
_SETTLED = '{"kind":"succeeded","exit_code":0}'
_MARKER = "00000000-0000-4000-8000-000000000000"

_INSERT_JOB = "INSERT INTO jobs (state, title, agent, priority, created_at) VALUES ('ready', 'true', 'shell', 5, ?)"
_INSERT_EVENT = "INSERT INTO events (at, job, attempt, body) VALUES (?, ?, ?, ?)"
_INSERT_ATTEMPT = "INSERT INTO attempts (id, job, number, marker, created_at) VALUES (?, ?, 1, ?, ?)"


def now() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def durable(path: Path) -> sqlite3.Connection:
    """A connection whose every commit is on the disk."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def filling(path: Path) -> sqlite3.Connection:
    """A connection for filling a database quickly, which nobody else has open: a crash would spoil it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -262144")
    return connection


def widen_log(path: Path) -> None:
    """Give an open database, which has been read, a write-ahead log of the size that it has after a while.

    A commit that makes the file longer costs the disk twice as much as one that writes over it. What is rolled back
    has been in the log and leaves nothing else.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = -256")  # so that it is written out before it is rolled back
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE widening (data BLOB)")
    for _ in range(_LOG_BYTES // _PIECE):
        connection.execute("INSERT INTO widening VALUES (zeroblob(?))", (_PIECE,))
    connection.execute("ROLLBACK")
    connection.close()


def checkpointed(connection: sqlite3.Connection, path: Path) -> int:
    """Bytes of the database with its log in it."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.stat().st_size


class Minimal(Blocking):
    """One table: an UPDATE to claim, an UPDATE to settle."""

    name: ClassVar[str] = "raw sqlite3, one table"
    ways: ClassVar[dict[Work, str]] = {Work.CYCLE: "64 a batch"}
    works: ClassVar[frozenset[Work]] = frozenset({Work.SINGLE, Work.BULK, Work.CYCLE})
    batch: ClassVar[int] = BATCH
    schema: ClassVar[str] = _JOBS

    def __init__(self, directory: Path, size: Size) -> None:
        self.path = directory / "raw.db"
        connection = filling(self.path)
        connection.executescript(self.schema)
        connection.execute("BEGIN")
        self.fill(connection, size)
        connection.execute("COMMIT")
        connection.close()
        self.connection = durable(self.path)
        self.connection.execute("SELECT id FROM jobs LIMIT 1").fetchall()
        widen_log(self.path)

    def fill(self, connection: sqlite3.Connection, size: Size) -> None:
        for state, rows in (("done", size.finished), ("ready", size.ready)):
            if rows:
                connection.execute(
                    f"{SERIES} INSERT INTO jobs (state, title, agent, priority, created_at, ended_at) "
                    "SELECT :state, 'true', 'shell', 5, :at, iif(:state = 'done', :at, NULL) FROM series",
                    {"rows": rows, "state": state, "at": now()},
                )

    def submit_one(self) -> None:
        self.connection.execute(_INSERT_JOB, (now(),))

    def submit_many(self, jobs: int) -> None:
        at = now()
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(_INSERT_JOB, [(at,)] * jobs)
        self.connection.execute("COMMIT")

    def cycle(self) -> int:
        claimed = self.connection.execute(
            "UPDATE jobs SET state = 'running', started_at = ? WHERE id IN "
            "(SELECT id FROM jobs WHERE state = 'ready' ORDER BY priority, id LIMIT ?) RETURNING id",
            (now(), self.batch),
        ).fetchall()
        at = now()
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(
            "UPDATE jobs SET state = 'done', ended_at = ? WHERE id = ?", [(at, job) for (job,) in claimed]
        )
        self.connection.execute("COMMIT")
        return len(claimed)

    def size(self) -> int:
        return checkpointed(self.connection, self.path)

    def close(self) -> None:
        self.connection.close()


class SameRows(Minimal):
    """As many rows as Headway writes for a job. `events` are those of its submit, claim and settlement."""

    name: ClassVar[str] = "raw sqlite3, the same rows"
    schema: ClassVar[str] = _JOBS + _MORE

    def __init__(self, directory: Path, size: Size, events: tuple[int, int, int] = (1, 1, 1)) -> None:
        self.events = events
        super().__init__(directory, size)
        self._jobs = self._newest("jobs", "id")
        self._attempts = self._newest("attempts", "id")

    def _newest(self, table: str, column: str) -> int:
        return int(self.connection.execute(f"SELECT ifnull(max({column}), 0) FROM {table}").fetchone()[0])

    def fill(self, connection: sqlite3.Connection, size: Size) -> None:
        super().fill(connection, size)
        values = {"rows": size.finished, "at": now(), "marker": _MARKER}
        if size.finished:
            connection.execute(
                f"{SERIES} INSERT INTO attempts (id, job, number, marker, created_at, ended_at, exit_code, succeeded) "
                "SELECT i, i, 1, :marker, :at, :at, 0, 1 FROM series",
                values,
            )
        bodies = [_SUBMITTED] * self.events[0] + [_CLAIMED] * self.events[1] + [_SETTLED] * self.events[2]
        for first, rows, told in ((0, size.finished, bodies), (size.finished, size.ready, bodies[: self.events[0]])):
            if rows:
                connection.execute(
                    f"{SERIES} INSERT INTO events (at, job, attempt, body) SELECT :at, :first + i, NULL, told.value "
                    "FROM series CROSS JOIN json_each(:bodies) AS told",
                    {"rows": rows, "at": now(), "first": first, "bodies": f"[{','.join(map(_quoted, told))}]"},
                )

    def submit_one(self) -> None:
        self._submit(1)

    def submit_many(self, jobs: int) -> None:
        self._submit(jobs)

    def _submit(self, jobs: int) -> None:
        at = now()
        told = [(at, self._jobs + n, None, _SUBMITTED) for n in range(1, jobs + 1)]
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(_INSERT_EVENT, told * self.events[0])
        self.connection.executemany(_INSERT_JOB, [(at,)] * jobs)
        self.connection.execute("COMMIT")
        self._jobs += jobs

    def cycle(self) -> int:
        connection, at = self.connection, now()
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute(
            "SELECT id FROM jobs WHERE state = 'ready' ORDER BY priority, id LIMIT ?", (self.batch,)
        ).fetchall()
        given = [(self._attempts + n, job) for n, (job,) in enumerate(found, 1)]
        self._attempts += len(given)
        connection.executemany(_INSERT_ATTEMPT, [(attempt, job, _MARKER, at) for attempt, job in given])
        told = [(at, job, attempt, _CLAIMED) for attempt, job in given]
        connection.executemany(_INSERT_EVENT, told * self.events[1])
        connection.executemany(
            "UPDATE jobs SET state = 'running', started_at = ?, attempt = ? WHERE id = ?",
            [(at, attempt, job) for attempt, job in given],
        )
        connection.execute("COMMIT")
        self._settle(given)
        return len(given)

    def _settle(self, given: list[tuple[int, int]]) -> None:
        connection, at = self.connection, now()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE attempts SET ended_at = ?, exit_code = 0, succeeded = 1 WHERE id = ?",
            [(at, attempt) for attempt, _ in given],
        )
        told = [(at, job, attempt, _SETTLED) for attempt, job in given]
        connection.executemany(_INSERT_EVENT, told * self.events[2])
        connection.executemany(
            "UPDATE jobs SET state = 'done', ended_at = ? WHERE id = ?", [(at, job) for _, job in given]
        )
        connection.execute("COMMIT")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
