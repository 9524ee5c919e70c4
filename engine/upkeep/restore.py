"""Putting a backup in the place of a home's database. What was there is moved aside, never deleted.

All of a backup is read and judged beside the home's own files first; only then is anything put in place.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine import __version__
from engine.clock import now_ms
from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError
from engine.home import LOCK, Holder, Lock, make_home
from engine.runner.run_dir import RunDir, run_dir
from engine.store.schema import APPLICATION_ID, damage, migrations, storage_error
from engine.store.store import FILE
from engine.upkeep import archive, memory
from engine.upkeep.archive import RUNS, SETTINGS
from engine.upkeep.backup import GZIP, HEADER_BYTES, SQLITE, copy_into, is_ours
from engine.upkeep.files import remove_tree, sync_directory, written_whole
from engine.upkeep.kept import PIECE_BYTES, kept_as
from engine.upkeep.reading import reading
from engine.upkeep.since import Since, hold, since

COPY = "headway.db.restoring"
UNPACKED = "runs.restoring"

_HAS_EXTRAS = "SELECT 1 FROM sqlite_schema WHERE name = 'backup'"
_LIVE = "SELECT job, number FROM attempts WHERE ended_at IS NULL"


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
    held: int = 0
    """Jobs that had not ended when the backup was taken and have gone on since: they are held."""
    memory: bool = False
    """What is remembered was put back; what was there before is beside it."""
    core_beside: int = 0
    """Core files that are not those of the backup, which are beside them."""


def restore(file: Path, home: Path, settings: Path | None = None) -> Restored:
    """Put the database of a backup into a home. `settings` is the settings file that is in effect there.

    Raises `RefusedError` while an engine holds the home, for a file that is no Headway database, and for one that is
    newer than this code; `StorageError` for a damaged one. Then nothing has changed.
    """
    kind = _kind(file, home)
    new = not home.exists()
    make_home(home)
    lock = _take(home)
    try:
        with _scratch(home):
            return _restore(file, kind, home, settings)
    except sqlite3.Error as error:
        raise _said(error, file, home) from error
    except OSError as error:
        raise StorageError(f"{file} could not be restored into {home}: {error.strerror or error}") from error
    finally:
        lock.release()
        if new and not (home / FILE).exists():
            with contextlib.suppress(OSError):  # nothing was put into it: it need not have been made
                (home / LOCK).unlink()
                home.rmdir()


def rehearse(file: Path, home: Path) -> Restored:
    """Read and judge all of a backup as `restore` would, and change nothing. An engine may serve the home meanwhile.

    It says what would be held, and nothing of files that would be put back. Raises as `restore` does.
    """
    kind = _kind(file, home)
    try:
        with tempfile.TemporaryDirectory(prefix="headway-restore-") as place:
            copy = Path(place) / COPY
            _copy(file, kind, copy, None)
            with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                jobs, live = _judge(connection, file)
                if kind == SQLITE and connection.execute(_HAS_EXTRAS).fetchone():
                    memory.take_out(connection, Path(place))
                if remembered := (Path(place) / memory.COPY).exists():
                    memory.judge(Path(place) / memory.COPY, file)
                found = Since()
                with contextlib.suppress(HeadwayError), reading(home / FILE, current=False) as present:
                    found = since(connection, present)
    except sqlite3.Error as error:
        raise _said(error, file, home) from error
    except OSError as error:
        raise StorageError(f"{file} could not be looked through: {error.strerror or error}") from error
    return Restored(jobs, len(live), found.strangers, None, "", 0, len(found.went_on), remembered)


def _take(home: Path) -> Lock:
    try:
        return Lock.take(home, Holder(os.getpid(), __version__, now_ms()))
    except RefusedError as error:
        raise RefusedError(f"{error.message}; stop it first with `headway shutdown`") from None


def _said(error: sqlite3.Error, file: Path, home: Path) -> HeadwayError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StorageError(f"{file} is damaged ({error}): take another backup")
    return storage_error(error, home / FILE)


def _kind(file: Path, home: Path) -> bytes:
    try:
        if not file.is_file():
            if not file.exists():
                raise NotFoundError(f"there is no file {file}")
            raise RefusedError(f"{file} is not a plain file; name what `headway backup` wrote")
        if (home / FILE).exists() and file.samefile(home / FILE):
            raise RefusedError(f"{file} is the database of this home itself; name a backup")
        with file.open("rb") as there:
            head = there.read(len(SQLITE))
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
            (home / (memory.COPY + suffix)).unlink(missing_ok=True)
        remove_tree(home / UNPACKED)
        remove_tree(home / memory.CORE)

    clear()
    try:
        yield
    finally:
        clear()


def _restore(file: Path, kind: bytes, home: Path, settings: Path | None) -> Restored:
    copy, path = home / COPY, home / FILE
    saved = _copy(file, kind, copy, home / UNPACKED)
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        jobs, live = _judge(connection, file)
        saved = _take_out(connection, home) or saved
        so_far = _settle_present(path, connection)
    if (home / memory.COPY).exists():
        memory.judge(home / memory.COPY, file)
    held = hold(copy, so_far.went_on) if so_far.went_on else 0
    _sync(copy)
    aside = _swap(copy, path)
    try:
        runs = _put_runs(home)
        for job, number in live:
            _as_written(run_dir(home, job, number))
        put = _put_settings(home, settings, saved)
        remembered = memory.put_archive(home, home / memory.COPY)
        beside = memory.put_core(home, home / memory.CORE)
    except OSError as error:
        raise StorageError(
            f"the database of {file} is in place, but not all that belongs to it: {error.strerror or error}; "
            "mend that and run the same once more"
        ) from error
    return Restored(jobs, len(live), so_far.strangers, aside, put, runs, held, remembered, beside)


def _copy(file: Path, kind: bytes, copy: Path, runs: Path | None) -> bytes | None:
    """Write the database of a backup to one place and its run directories below another. Returns an archive's settings.

    Without a place for the run directories, they are only read.
    """
    if kind == GZIP:
        return archive.unpack(file, copy, runs)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    # By SQLite and not as bytes, so that a journal which lies beside it is read too.
    with contextlib.closing(_read_only(file)) as connection:
        _judge(connection, file)
        copy_into(connection, copy)
    return None


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _judge(connection: sqlite3.Connection, file: Path) -> tuple[int, list[tuple[int, int]]]:
    """Read all of a database, and refuse what is not ours, is newer, or is not whole.

    Returns how many jobs it holds, and of which jobs and with which numbers attempts run by it.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise RefusedError(f"{file} is not a Headway database")
    version, known = connection.execute("PRAGMA user_version").fetchone()[0], len(migrations())
    if version > known:
        raise RefusedError(
            f"{file} was written by a newer Headway: its schema is {version}, this one knows {known}; "
            "restore it with that version"
        )
    if found := damage(connection, version):
        raise StorageError(f"{file} is damaged ({found}): take another backup")
    jobs = int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])
    return jobs, connection.execute(_LIVE).fetchall()


def _take_out(connection: sqlite3.Connection, home: Path) -> bytes | None:
    """The settings that the backup brought along, and beside the home's files what it remembers.

    The database is then as it was.
    """
    if not connection.execute(_HAS_EXTRAS).fetchone():
        return None
    found = connection.execute("SELECT content FROM backup WHERE name = ?", (SETTINGS,)).fetchone()
    memory.take_out(connection, home)
    connection.execute("DROP TABLE backup")
    connection.execute("PRAGMA incremental_vacuum").fetchall()
    return bytes(found[0]) if found and found[0] is not None else None


def _settle_present(path: Path, backup: sqlite3.Connection) -> Since:
    """Take the journal of the present database into it, so that it is whole as one file, and ask what it knows."""
    try:
        with path.open("rb") as there:
            ours = is_ours(there.read(HEADER_BYTES))
    except FileNotFoundError:
        return Since()
    if not ours:
        return Since()  # SQLite would throw the journal away
    found = Since()
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as connection:
        found = since(backup, connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found  # of a damaged one nothing: it is moved aside as it is


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


def _as_written(run: RunDir) -> None:
    """Unpack the output of an attempt that is to be settled from it: it may have ended, and been compressed, since."""
    for path in (run.stdout, run.stderr):
        packed = kept_as(path)
        if os.path.lexists(path) or packed.is_symlink() or not packed.is_file():
            continue
        try:
            with gzip.open(packed) as source, written_whole(path) as out:
                shutil.copyfileobj(source, out, PIECE_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            continue  # what can be read of it is not enough to judge by
        packed.unlink()


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
