"""Opening the database: pragmas, numbered migrations, and the refusals that protect it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from importlib.resources import files
from pathlib import Path

from engine.errors import HeadwayError, RefusedError, StorageError
from engine.store import pattern
from engine.store.guarded import Clean, Guarded

APPLICATION_ID = 0x48445759  #: "HDWY" in the file's header: this file is a Headway database
CACHE_KIB = 32_768  #: of the writer's page cache: the upper levels of every index of a million jobs fit into it
BUSY_MS = 5_000  #: how long a connection waits for another's lock; only `backup` tools of others ever hold one
BACKUPS = "backups"  #: below the home: where `headway backup` puts what it is given no name for
CHECK_BYTES = 64 << 20  #: up to here the whole file is looked through at each start; it takes 0.06 s
CHECK_UNCLEAN_BYTES = 1 << 30  #: up to here it is after an end that was not clean; it takes about a second
SHM_BYTES = 64 << 10  #: what the index of a journal takes, and a little more


def migrations() -> list[str]:
    """The SQL of each migration, in order. The version of a database is how many of them it has had."""
    folder = files("engine.store") / "migrations"
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [entry.read_text(encoding="utf-8") for _, entry in found]


def open_writer(path: Path, clean: Clean | None = None) -> sqlite3.Connection:
    """The one connection that writes, on a database brought to this code's version. `clean` takes secrets out of texts.

    Raises `RefusedError` for a database newer than the code or of another program, and `StorageError` where the
    file cannot be read or written.
    """
    refuse_what_is_none(path)
    # SQLite gives its journal the mode of the database at that moment, so the mode comes first. Only a file that is
    # not there yet is opened here: to close one that is would drop the locks of this process on it.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    limit = CHECK_UNCLEAN_BYTES if _ended_uncleanly(path) else CHECK_BYTES
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256, factory=Guarded
        )
        try:
            version = check_owner(connection, path)
            if version:
                _check_whole(connection, path, version, limit)
            else:
                # What a prune frees goes back to the file system. It only takes in a database without a table.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            with contextlib.suppress(OSError):
                path.chmod(0o600)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # Savepoints and statements keep journals of their own, which need not outlive the process.
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            migrate(connection, migrations())
            pattern.teach(connection)
            connection.clean = clean
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    return connection


def refuse_what_is_none(path: Path) -> None:
    """Refuse what SQLite would make a fresh database of, though there has been one."""
    if path.is_dir():
        raise StorageError(f"{path} is a directory, where the database belongs: move it away")
    empty = path.exists() and not path.stat().st_size
    if (empty or not path.exists()) and _ended_uncleanly(path):
        raise _damaged(path, f"it is {'empty' if empty else 'gone'}, and its journal {path.name}-wal is there")
    runs = path.with_name("runs")
    if empty and runs.is_dir() and any(runs.iterdir()):
        raise _damaged(path, f"it is empty, though jobs have run: {runs}")


def check_owner(connection: sqlite3.Connection, path: Path) -> int:
    """The schema of a database of ours that this code knows; 0 for an empty file. Raises `RefusedError`."""
    version = _pragma(connection, "user_version")
    known = len(migrations())
    owner = _pragma(connection, "application_id")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    # SQLite takes a file that is shorter than its own header for an empty one.
    text = not _pragma(connection, "page_count") and path.exists() and path.stat().st_size
    if text or owner not in (0, APPLICATION_ID) or (tables and owner != APPLICATION_ID):
        raise RefusedError(f"{path} is not a Headway database; name another home with --home")
    if version > known:
        raise RefusedError(
            f"{path} was written by a newer Headway: its schema is {version}, this one knows {known}. "
            "Install that version again, or restore a backup made before the upgrade"
        )
    return version


def _ended_uncleanly(path: Path) -> bool:
    """Whether the last writer left a journal behind: on a clean end SQLite takes it over and removes it."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def _check_whole(connection: sqlite3.Connection, path: Path, version: int, limit: int) -> None:
    """Find damage before anything is built on it: a job that was never written must not look like a lost one."""
    small = _pragma(connection, "page_count") * _pragma(connection, "page_size") <= limit
    if found := damage(connection, version, "quick_check" if small else None):
        raise _damaged(path, found)


def damage(connection: sqlite3.Connection, version: int, check: str | None = "integrity_check") -> str:
    """What a database of that version lacks, or what is spoilt in it; empty where it is whole.

    `check`: SQLite's own look at all of it; `quick_check` does not hold the indexes against their tables.
    """
    if missing := sorted(_parts_of(version) - _parts(connection), key=lambda part: (part[0] != "table", *part)):
        return f"it has no {missing[0][0]} {missing[0][1]}"
    found = connection.execute(f"PRAGMA {check}(1)").fetchone()[0] if check else "ok"
    return "" if found == "ok" else " ".join(str(found).split())


def _parts(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(connection.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"))


def _parts_of(version: int) -> set[tuple[str, str]]:
    """The tables, indexes and triggers that the migrations up to a version make."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, migrations()[:version])
        return _parts(connection)


def _damaged(path: Path, what: object) -> StorageError:
    backup = newest_backup(path.parent)
    mend = f"`headway restore {backup}` puts the newest backup in its place" if backup else "restore a backup"
    return StorageError(f"{path} is damaged ({what}): move it away, or {mend}")


def _is_full(path: Path) -> bool:
    """Whether there is no room for what SQLite needs beside a database: of that it only says that it failed."""
    try:
        return shutil.disk_usage(path.parent).free < SHM_BYTES
    except OSError:
        return False


def newest_backup(home: Path) -> Path | None:
    """The newest file among the backups of a home."""
    try:
        found = [(entry.stat().st_mtime, entry) for entry in (home / BACKUPS).iterdir() if entry.name[0] != "."]
    except OSError:
        return None
    return max(found)[1] if found else None


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
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path)):
        return StorageError(f"the disk that holds {path} is full: nothing was written; free some space and try again")
    if primary == sqlite3.SQLITE_READONLY:
        return StorageError(f"{path} cannot be written: the file or its directory is read-only")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StorageError(f"{path} cannot be opened: check that its directory exists and is writable")
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged(path, error)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(f"{path} is locked by another program; find it with `fuser {path}`")
    return StorageError(f"{path}: {error}")
