"""A home's memory in its backups: `memory.db` with everything of the archive, whichever backend keeps it, and the core
files. What was forgotten is in no backup that is taken afterwards."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import StorageError
from engine.memory import database, files
from engine.memory.archive import BACKEND, MOVING
from engine.memory.moving import copy_all
from engine.memory.sqlite import SqliteStore
from engine.memory.store import Backend
from engine.upkeep.files import written_whole

COPY = "memory.db.restoring"  #: in a home, beside its own
CORE = "memory.restoring"
PIECE_BYTES = 64 << 20  #: of memory.db in one row of a backup: SQLite takes a gigabyte at most
CORE_BYTES = 1 << 20  #: of a core file; a larger one is none


def copy_memory(home: Path, copy: Path) -> int | None:
    """Write a home's memory to one file, whole, while an engine may write it. Returns how many things it holds.

    None where nothing was ever remembered.

    Raises `StorageError` or `RefusedError`: a backup that leaves something out is none.
    """
    source = home / files.DATABASE
    if not source.exists():
        return None
    with database.said_of(source):
        address = f"{source.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            database.version_of(connection, source)
            connection.execute("VACUUM INTO ?", (str(copy),))
        with contextlib.closing(database.open_database(copy)) as connection:
            ledger = database.Ledger(connection, copy)
            if ledger.word(BACKEND) == Backend.LANCEDB:
                _take_in(home, connection, copy, ledger)
            ledger.set_words({BACKEND: None, MOVING: None})
            connection.execute("PRAGMA journal_mode = DELETE")
            if found := database.damage(connection):
                raise StorageError(
                    f"the copy of memory is damaged, as memory.db is: {found}; `headway doctor` says more"
                )
            return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])


def _take_in(home: Path, connection: sqlite3.Connection, copy: Path, ledger: database.Ledger) -> None:
    """The items that LanceDB keeps, as the copy would keep them itself."""
    from engine.memory.lance import LanceStore

    target = SqliteStore(connection, copy, copy.with_name(f"{copy.name}.none"))  # it needs no cache of vectors
    target.clear()
    copy_all(LanceStore(home / files.LANCE, ledger), target)


def core_files(home: Path) -> Iterator[tuple[str, bytes]]:
    """The core files, by their names below the home."""
    folder = home / files.FOLDER
    for path in sorted(folder.rglob("*.md")) if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                with path.open("rb") as file:
                    yield str(path.relative_to(home)), file.read(CORE_BYTES)


def is_core(name: str) -> bool:
    """Whether a name in an archive is that of a core file."""
    parts = name.split("/")
    inside = parts[0] == files.FOLDER and parts[-1].endswith(".md") and len(parts) in (2, 3)
    return inside and not any(part.startswith(".") or not part for part in parts)


def pieces(copy: Path) -> Iterator[tuple[str, bytes]]:
    """A copy of memory as rows of a backup."""
    with copy.open("rb") as file:
        number = 0
        while data := file.read(PIECE_BYTES):
            yield f"{files.DATABASE}/{number:06}", data
            number += 1


def judge(path: Path, backup: Path) -> None:
    """Read all of a memory that a backup brought along. Raises as the restore of a database does."""
    with database.said_of(path), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        database.version_of(connection, backup)
        if found := database.damage(connection):
            raise StorageError(f"{backup} is damaged (its memory: {found}): take another backup")


def put_archive(home: Path, restored: Path) -> bool:
    """Give a memory that a backup brought along the place of the home's own, which is moved aside."""
    if not restored.exists():
        return False
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    for name in (f"{files.DATABASE}-wal", f"{files.DATABASE}-shm", files.DATABASE, files.LANCE):
        present = home / name
        if present.exists():
            suffix = name.removeprefix(files.DATABASE) if name.startswith(files.DATABASE) else ""
            base = name.removesuffix(suffix) if suffix else name
            present.rename(_free(home / f"{base}.before-{moment}{suffix}"))
    files.remove_matrix(home / files.FOLDER)
    restored.replace(home / files.DATABASE)
    return True


def _free(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}+{number}")
    return free


def put_core(home: Path, restored: Path) -> int:
    """Put core files back that are not there. Others stay, with those of the backup beside: returns how many."""
    beside = 0
    for saved in sorted(restored.rglob("*.md")) if restored.is_dir() else ():
        path = home / files.FOLDER / saved.relative_to(restored)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = saved.read_bytes()
        if path.exists():
            if path.read_bytes() == content:
                continue
            path = path.with_name(f"{path.name}.restored")
            beside += 1
        with written_whole(path) as file:
            file.write(content)
    return beside


def take_out(connection: sqlite3.Connection, place: Path) -> None:
    """Write what a backup brought along of memory beside a home's own: from the table of its database."""
    rows = connection.execute("SELECT name FROM backup ORDER BY name").fetchall()
    for (name,) in rows:
        first, _, rest = str(name).partition("/")
        if first == files.DATABASE:
            _append(place / COPY, connection, name)
        elif is_core(str(name)):
            _append(place / CORE / rest, connection, name)


def _append(path: Path, connection: sqlite3.Connection, name: str) -> None:
    (content,) = connection.execute("SELECT content FROM backup WHERE name = ?", (name,)).fetchone()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        path.chmod(0o600)
        file.write(content)
