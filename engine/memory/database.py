"""`memory.db`: opened, brought up to date, and refused where it is spoilt. And what is kept in it beside the items."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from engine.errors import RefusedError, StorageError
from engine.store.schema import BUSY_MS, split, storage_error

APPLICATION_ID = 0x4844574D  #: "HDWM" in the file's header: this file is a memory of Headway
_KEEP_CHANGE = "INSERT INTO changes (token, item, before, after, at) VALUES (?, ?, ?, ?, ?)"
_CHANGES = "SELECT item, before, after FROM changes WHERE token = ? ORDER BY item"
CACHE_KIB = 65_536  #: of the page cache: the text index of some 100,000 items is read from it


def migrations() -> list[str]:
    """The SQL of each migration, in order. The version of a database is how many of them it has had."""
    folder = files("engine.memory") / "migrations"
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [entry.read_text(encoding="utf-8") for _, entry in found]


def statements() -> list[str]:
    """All of them, one by one."""
    return [statement for script in migrations() for statement in split(script)]


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create, raising `RefusedError` for what is none of ours or newer, and `StorageError` for the rest."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with said_of(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            if not version_of(connection, path):
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # What is forgotten is overwritten, and does not stay in a page that is merely free.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema of a memory of ours; 0 for an empty file. Raises `RefusedError`."""
    owner, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if owner not in (0, APPLICATION_ID) or (tables and owner != APPLICATION_ID):
        raise RefusedError(f"{path} is not a memory of Headway; move it away")
    if version > len(migrations()):
        raise RefusedError(
            f"{path} was written by a newer Headway: its schema is {version}, this one knows {len(migrations())}"
        )
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    version, scripts = _pragma(connection, "user_version"), migrations()
    if version >= len(scripts):
        return
    with writing(connection):
        for script in scripts[version:]:
            for statement in split(script):
                connection.execute(statement)
        if not version:
            connection.execute("INSERT INTO meta (name, value) VALUES ('identity', ?)", (str(uuid.uuid4()),))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(scripts)}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def damage(connection: sqlite3.Connection) -> str:
    """What is spoilt in a memory; empty where it is whole. The text index is not looked at: it can be made anew."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    return "" if found == ["ok"] else " ".join(found[0].split())


@contextlib.contextmanager
def said_of(path: Path) -> Iterator[None]:
    """SQLite's complaints as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, durably, or nothing. One inside of another is a part of that."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@dataclass(frozen=True, slots=True)
class Use:
    """An item was told to an attempt."""

    item: int
    job: int
    attempt: int
    at: int
    counted: str | None = None
    """How its job ended, once that was counted."""


class Ledger:
    """What is kept beside the items, whatever keeps those: uses, and words for the next start."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def word(self, name: str) -> str | None:
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set_word(self, name: str, value: str | None) -> None:
        self.set_words({name: value})

    def set_words(self, words: Mapping[str, str | None]) -> None:
        """All of them, or none. None takes a word away."""
        with said_of(self._path), writing(self._connection):
            for name, value in words.items():
                if value is None:
                    self._connection.execute("DELETE FROM meta WHERE name = ?", (name,))
                else:
                    self._connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def used(self, uses: Iterable[Use]) -> list[int]:
        """Note uses. Returns the items of those that were not noted before."""
        fresh = []
        with said_of(self._path), writing(self._connection):
            for use in uses:
                done = self._connection.execute(
                    "INSERT INTO uses (item, job, attempt, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (use.item, use.job, use.attempt, use.at),
                )
                if done.rowcount:
                    fresh.append(use.item)
        return fresh

    def uses(self, item: int, limit: int = 50) -> list[Use]:
        """The newest uses of an item."""
        return self._uses("WHERE item = ? ORDER BY at DESC LIMIT ?", (item, limit))

    def open_uses(self, job: int) -> list[Use]:
        """Those of a job whose end was not counted yet."""
        return self._uses("WHERE job = ? AND counted IS NULL", (job,))

    def _uses(self, where: str, values: Sequence[object]) -> list[Use]:
        rows = self._connection.execute(f"SELECT item, job, attempt, at, counted FROM uses {where}", values)
        return [Use(*row) for row in rows]

    def count(self, job: int, ended: str) -> None:
        """The end of a job was counted."""
        with said_of(self._path), writing(self._connection):
            self._connection.execute("UPDATE uses SET counted = ? WHERE job = ? AND counted IS NULL", (ended, job))

    def keep_changes(self, rows: Sequence[tuple[str, int, str | None, str, int]]) -> None:
        """Of one action: its token, an item, what that was before and is since, and when."""
        with said_of(self._path), writing(self._connection):
            self._connection.executemany(
                "INSERT INTO changes (token, item, before, after, at) VALUES (?, ?, ?, ?, ?)", rows
            )

    def changes(self, token: str) -> list[tuple[int, str | None, str]]:
        """What an action changed: an item, what it was before, and what it left."""
        rows = self._connection.execute(
            "SELECT item, before, after FROM changes WHERE token = ? ORDER BY item", (token,)
        )
        return [(int(item), before, str(after)) for item, before, after in rows]

    def forget(self, ids: Iterable[int]) -> None:
        gone = [(one,) for one in ids]
        with said_of(self._path), writing(self._connection):
            self._connection.executemany("DELETE FROM uses WHERE item = ?", gone)
            self._connection.executemany("DELETE FROM changes WHERE item = ?", gone)

    def prune(self, before: int) -> None:
        """Remove counted uses of before a time, and give what is free back to the file system."""
        with said_of(self._path), writing(self._connection):
            self._connection.execute("DELETE FROM uses WHERE at < ? AND counted IS NOT NULL", (before,))
            self._connection.execute("DELETE FROM changes WHERE at < ?", (before,))
        self.clean()

    def clean(self) -> bool:
        """Empty the journal, which still holds what was deleted. False where another program reads meanwhile."""
        with said_of(self._path):
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy
