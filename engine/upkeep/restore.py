"""Putting a backup in the place of a home's database. What was there is moved aside, never deleted."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine import __version__
from engine.clock import now_ms
from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError
from engine.home import Holder, Lock, make_home
from engine.store.schema import APPLICATION_ID, migrations, storage_error
from engine.store.store import FILE
from engine.upkeep.backup import GZIP, HEADER_BYTES, RUNS, SETTINGS, SQLITE, copy_into, is_ours
from engine.upkeep.files import remove_tree, sync_directory, written_whole

COPY = "headway.db.restoring"
UNPACKED = "runs.restoring"
COPY_BYTES = 1 << 20

_RUN_FILE = re.compile(r"runs/(\d{1,18})/([^/]+)/.+")
_LIVE = "SELECT marker FROM attempts WHERE ended_at IS NULL"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place, and what the operator has to know of it."""

    jobs: int
    running: int
    """Attempts that had not ended when the backup was taken: the next start judges each of them."""
    strangers: int
    """Attempts that ran by the database before this one, and that the restored one does not know."""
    aside: Path | None
    """Where the database is that was there before."""
    settings: str
    """What became of headway.yaml: `same`, `restored`, `beside`, or empty where the backup has none."""
    runs: int = 0
    """Run directories that were put back."""


def restore(file: Path, home: Path, settings: Path | None = None) -> Restored:
    """Put the database of a backup into a home. `settings` is the settings file that is in effect there.

    Raises `RefusedError` while an engine holds the home, for a file that is no Headway database, and for one that is
    newer than this code; `StorageError` for a damaged one. Then nothing has changed.
    """
    kind = _kind(file)
    if file.resolve().parent == home.resolve() and file.name == FILE:
        raise RefusedError(f"{file} is the database of this home itself; name a backup")
    make_home(home)
    try:
        lock = Lock.take(home, Holder(os.getpid(), __version__, now_ms()))
    except RefusedError as error:
        raise RefusedError(f"{error.message}; stop it first with `headway shutdown`") from None
    try:
        with _scratch(home):
            return _restore(file, kind, home, settings)
    except sqlite3.Error as error:
        raise _said(error, file, home) from error
    except (tarfile.TarError, EOFError) as error:
        raise StorageError(f"{file} is damaged ({error}): take another backup") from error
    except OSError as error:
        raise StorageError(f"{file} could not be restored into {home}: {error.strerror or error}") from error
    finally:
        lock.release()


def _said(error: sqlite3.Error, file: Path, home: Path) -> HeadwayError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StorageError(f"{file} is damaged ({error}): take another backup")
    return storage_error(error, home / FILE)


def _kind(file: Path) -> bytes:
    try:
        with file.open("rb") as there:
            head = there.read(len(SQLITE))
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}") from error
    for kind in (SQLITE, GZIP):
        if head.startswith(kind):
            return kind
    raise RefusedError(f"{file} is no backup of Headway: it is neither a database nor a tar.gz")


@contextlib.contextmanager
def _scratch(home: Path) -> Iterator[None]:
    """Nothing of an earlier try before, and nothing of this one afterwards."""

    def clear() -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            (home / (COPY + suffix)).unlink(missing_ok=True)
        remove_tree(home / UNPACKED)

    clear()
    try:
        yield
    finally:
        clear()


def _restore(file: Path, kind: bytes, home: Path, settings: Path | None) -> Restored:
    copy = home / COPY
    saved: bytes | None = None
    if kind == GZIP:
        saved = _unpack(file, home)
    else:
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        # By SQLite and not as bytes, so that a journal which lies beside it is read too.
        with contextlib.closing(_read_only(file)) as connection:
            _refuse_foreign(connection, file)
            copy_into(connection, copy)
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        _refuse_foreign(connection, file)
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StorageError(f"{file} is damaged ({found}): take another backup")
        saved = _take_out(connection) or saved
        jobs = int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])
        live = {row[0] for row in connection.execute(_LIVE)}
    _sync(copy)
    strangers = _settle_present(home / FILE) - live
    aside = _swap(copy, home / FILE)
    runs = _put_runs(home)
    return Restored(jobs, len(live), len(strangers), aside, _put_settings(home, settings, saved), runs)


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _refuse_foreign(connection: sqlite3.Connection, file: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise RefusedError(f"{file} is not a Headway database")
    version, known = connection.execute("PRAGMA user_version").fetchone()[0], len(migrations())
    if version > known:
        raise RefusedError(
            f"{file} was written by a newer Headway: its schema is {version}, this one knows {known}; "
            "restore it with that version"
        )


def _take_out(connection: sqlite3.Connection) -> bytes | None:
    """The settings that the backup brought along; the database is then as it was."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'backup'").fetchone():
        return None
    found = connection.execute("SELECT content FROM backup WHERE name = ?", (SETTINGS,)).fetchone()
    connection.execute("DROP TABLE backup")
    return bytes(found[0]) if found and found[0] is not None else None


def _settle_present(path: Path) -> set[str]:
    """Take the journal of the present database into it, so that it is whole as one file. Returns its live attempts."""
    try:
        with path.open("rb") as there:
            ours = is_ours(there.read(HEADER_BYTES))
    except FileNotFoundError:
        return set()
    if not ours:
        return set()  # SQLite would throw the journal away
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as connection:
        live = {row[0] for row in connection.execute(_LIVE)}
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return live
    return set()  # it is damaged: it is moved aside as it is


def _swap(copy: Path, path: Path) -> Path | None:
    """Give the copy the database's name, and the database another. A crash leaves the one or the other in place."""
    aside = None
    if path.exists():
        aside = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}")
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{aside.name.partition('+')[0]}+{number}")
        # The journal first: beside another database it would be taken for that one's.
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        try:
            aside.hardlink_to(path)
        except OSError:  # a file system without links
            shutil.copyfile(path, aside)
            aside.chmod(0o600)
            _sync(aside)
    copy.replace(path)
    sync_directory(path.parent)
    return aside


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unpack(file: Path, home: Path) -> bytes | None:
    """The database and the run files of an archive, each where it waits to be put in place. Returns the settings."""
    saved: bytes | None = None
    there = False
    with tarfile.open(file, "r:gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            named = _RUN_FILE.fullmatch(member.name)
            if content is None:
                continue
            if member.name == FILE:
                target, there = home / COPY, True
            elif named and ".." not in Path(member.name).parts:
                target = home / UNPACKED / Path(member.name).relative_to(RUNS)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                saved = content.read() if member.name == SETTINGS else saved
                continue
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as out:
                shutil.copyfileobj(content, out, COPY_BYTES)
            os.utime(target, (member.mtime, member.mtime))
    if not there:
        raise RefusedError(f"{file} is no backup of Headway: there is no {FILE} in it")
    return saved


def _put_runs(home: Path) -> int:
    """Put run directories back that are not there any more. Those that are stay: they may have grown since."""
    count = 0
    unpacked = home / UNPACKED
    for job in sorted(unpacked.iterdir()) if unpacked.is_dir() else ():
        for run in sorted(job.iterdir()):
            target = home / RUNS / job.name / run.name
            if not target.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                run.rename(target)
                count += 1
    return count


def _put_settings(home: Path, settings: Path | None, saved: bytes | None) -> str:
    """Give a home without settings those of the backup. Others are left as they are, and the backup's put beside."""
    if saved is None:
        return ""
    if settings is None:
        with written_whole(home / SETTINGS) as file:
            file.write(saved)
        return "restored"
    if settings.read_bytes() == saved:
        return "same"
    with written_whole(home / f"{SETTINGS}.restored") as file:
        file.write(saved)
    return "beside"
