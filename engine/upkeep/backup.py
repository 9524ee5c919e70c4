"""A copy of a home's database that is whole, taken while its engine writes.

A plain database by default, which holds headway.yaml in a table of its own; with run directories it is an archive. The
copy is written without the free pages of the original, read again, and only then gets its name.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.clock import now_ms
from engine.errors import NotFoundError, RefusedError, StorageError
from engine.store.schema import APPLICATION_ID, BACKUPS, damage, storage_error
from engine.store.store import FILE
from engine.upkeep import archive
from engine.upkeep.archive import SETTINGS
from engine.upkeep.files import clear_drafts, draft_of, refuse_in_home, sync_directory, written_whole
from engine.upkeep.memory import copy_memory, core_files, pieces
from engine.upkeep.reading import reading

SQLITE = b"SQLite format 3\0"
GZIP = b"\x1f\x8b"
HEADER_BYTES = 100
STEPS = 100_000  #: of SQLite's machine, after which Python may look whether it was interrupted

#: In the copy alone: a restore takes the settings out and drops it.
_EXTRAS = "CREATE TABLE IF NOT EXISTS backup (name TEXT PRIMARY KEY, at INTEGER NOT NULL, content BLOB) STRICT"
_IS_BACKUP = "SELECT 1 FROM sqlite_schema WHERE name = 'backup'"
_PUT_EXTRA = "INSERT OR REPLACE INTO backup (name, at, content) VALUES (?, ?, ?)"
_COUNTS = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM attempts WHERE ended_at IS NULL)"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that is on the disk and was read again."""

    file: Path
    size: int
    jobs: int
    running: int
    """Attempts that had not ended when it was taken."""
    runs: int = 0
    """Files of run directories in it."""
    things: int = 0
    """That are remembered."""


def default_file(home: Path, *, runs: bool) -> Path:
    """Where a backup goes that is given no name: below the home, named after the time."""
    if not (home / FILE).exists():
        raise NotFoundError(f"there is no database in {home} yet, and nothing to back up")
    folder = home / BACKUPS
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}; name a file elsewhere") from error
    return folder / f"headway-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}{'.tar.gz' if runs else '.db'}"


def backup(home: Path, file: Path, settings: Path | None = None, *, runs: bool = False) -> BackedUp:
    """Copy the database of a home, with its settings file, into a file for the owner alone.

    Works with and without an engine. Raises `NotFoundError`, `RefusedError` or `StorageError` with what to do.
    """
    file = file.absolute()
    source = home / FILE
    copy, remembered = draft_of(file, ".db"), draft_of(file.with_name(f"{file.name}.memory"), ".db")
    try:
        _refuse_wrong_place(home, file)
        for name in (file.name, f"{file.name}.memory"):
            clear_drafts(file.parent, None if file.parent == home.absolute() / BACKUPS else name)
        with _scratch(copy), _scratch(remembered):
            _copy(source, copy)
            content = settings.read_bytes() if settings is not None else None
            things = copy_memory(home, remembered)
            memory = remembered if things is not None else None
            # In an archive, memory is a file of its own beside the database.
            jobs, running = _finish(copy, content, () if runs else _memory_rows(home, memory))
            if not runs:
                copy.rename(file)
                sync_directory(file.parent)
                return BackedUp(file, file.stat().st_size, jobs, running, 0, things or 0)
            with written_whole(file) as out:
                count = archive.pack(out, home, copy, content, memory)
                out.seek(0)
                archive.verify(out, file)
        return BackedUp(file, file.stat().st_size, jobs, running, count, things or 0)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror or error}") from error


def _refuse_wrong_place(home: Path, file: Path) -> None:
    if not file.parent.is_dir():
        raise RefusedError(f"{file.parent} is not a directory; make it first, or name another file")
    if file.is_dir():
        raise RefusedError(f"{file} is a directory; name a file in it")
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise RefusedError(f"{file} is not a plain file; name another one")
    refuse_in_home(file, home)
    if file.exists() and not is_backup(file):
        raise RefusedError(f"{file} is there already and is no backup of Headway; name another file")


def is_backup(file: Path) -> bool:
    """Whether a file is an earlier backup, or empty, so that a new one may take its place. A live database is not."""
    with file.open("rb") as there:
        head = there.read(HEADER_BYTES)
    if not head:
        return True
    if head.startswith(GZIP):
        return archive.begins(file)
    if not is_ours(head) or file.with_name(f"{file.name}-wal").exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return connection.execute(_IS_BACKUP).fetchone() is not None
    except sqlite3.Error:
        return False


def is_database(file: Path) -> bool:
    """Whether a file begins as a Headway database does, a backup or a live one."""
    with file.open("rb") as there:
        return is_ours(there.read(HEADER_BYTES))


def is_ours(head: bytes) -> bool:
    """Whether a file that begins so is a Headway database (SQLite's file format, section 1.3)."""
    return head.startswith(SQLITE) and head[68:72] == APPLICATION_ID.to_bytes(4, "big")


@contextlib.contextmanager
def _scratch(copy: Path) -> Iterator[None]:
    """An empty file for the owner alone, into which SQLite writes; gone afterwards unless it got another name."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, copy: Path) -> None:
    """One look at the database, however long it takes and whatever is written meanwhile."""
    with reading(source, current=False) as connection:
        connection.set_progress_handler(lambda: 0, STEPS)
        copy_into(connection, copy)


def copy_into(connection: sqlite3.Connection, copy: Path) -> None:
    """Write a compact copy. An older database gets what lets it become smaller after a prune."""
    if not connection.execute("PRAGMA auto_vacuum").fetchone()[0]:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of the copy: this one keeps what it has
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.OperationalError as error:
        # What was wrong may be in either file; where it is the disk, it is the copy's.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise storage_error(error, copy.parent) from error
        raise


def _memory_rows(home: Path, memory: Path | None) -> Iterator[tuple[str, bytes]]:
    yield from core_files(home)
    if memory is not None:
        yield from pieces(memory)


def _finish(copy: Path, settings: bytes | None, further: Iterable[tuple[str, bytes]]) -> tuple[int, int]:
    """Add what else belongs to it, read it all again, and bring it to the disk."""
    try:
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute(_EXTRAS)
            connection.execute(_PUT_EXTRA, (SETTINGS, now_ms(), settings))
            for name, content in further:
                connection.execute(_PUT_EXTRA, (name, now_ms(), content))
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if found := damage(connection, version):
                raise StorageError(
                    f"the copy is damaged, as the database is: {found}; `headway doctor --deep` says more"
                )
            jobs, running = connection.execute(_COUNTS).fetchone()
    except sqlite3.Error as error:
        raise storage_error(error, copy) from error
    fd = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return int(jobs), int(running)
