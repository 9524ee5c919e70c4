"""Opening the database: pragmas, numbered migrations, and the refusals that protect it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from importlib.resources import files
from pathlib import Path

from engine.errors import HeadwayError, RefusedError, StorageError

APPLICATION_ID = 0x48445759  #: "HDWY" in the file's header: this file is a Headway database
BUSY_MS = 5_000  #: how long a connection waits for another's lock; only `backup` tools of others ever hold one


def migrations() -> list[str]:
    """The SQL of each migration, in order. The version of a database is how many of them it has had."""
    folder = files("engine.store") / "migrations"
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [entry.read_text(encoding="utf-8") for _, entry in found]


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, on a database brought to this code's version.

    Raises `RefusedError` for a database newer than the code or of another program, and `StorageError` where the
    file cannot be read or written.
    """
    # SQLite gives its journal the mode of the database at that moment, so the mode comes first. Only a file that is
    # not there yet is opened here: to close one that is would drop the locks of this process on it.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            _check(connection, path)
            with contextlib.suppress(OSError):
                path.chmod(0o600)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            migrate(connection, migrations())
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = _pragma(connection, "user_version")
    known = len(migrations())
    owner = _pragma(connection, "application_id")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if owner not in (0, APPLICATION_ID) or (tables and owner != APPLICATION_ID):
        raise RefusedError(f"{path} is not a Headway database; name another home with --home")
    if version > known:
        raise RefusedError(
            f"{path} was written by a newer Headway: its schema is {version}, this one knows {known}. "
            "Install that version again, or restore a backup made before the upgrade"
        )


def migrate(connection: sqlite3.Connection, scripts: list[str]) -> None:
    """Apply what is missing, all of it or nothing."""
    version = _pragma(connection, "user_version")
    if version >= len(scripts):
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for script in scripts[version:]:
            for statement in split(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(scripts)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def split(script: str) -> list[str]:
    """The statements of a script. `executescript` would commit before the first one, so it cannot be used."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    if pending.strip() and not all(line.strip().startswith("--") or not line.strip() for line in pending.splitlines()):
        raise ValueError(f"a migration ends in an unfinished statement: {pending.strip()[:80]}")
    return statements


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def storage_error(error: sqlite3.Error, path: Path) -> HeadwayError:
    """SQLite's complaint in words that say what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk that holds {path} is full: nothing was written; free some space and try again")
    if primary == sqlite3.SQLITE_READONLY:
        return StorageError(f"{path} cannot be written: the file or its directory is read-only")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StorageError(f"{path} cannot be opened: check that its directory exists and is writable")
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StorageError(f"{path} is damaged ({error}): move it away and restore a backup")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(f"{path} is locked by another program; find it with `fuser {path}`")
    return StorageError(f"{path}: {error}")
