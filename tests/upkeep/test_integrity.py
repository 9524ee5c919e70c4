"""What an engine finds out about its database before it builds anything on it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError
from engine.home import make_home
from engine.store import schema
from engine.store.schema import APPLICATION_ID, migrations, newest_backup, open_writer
from engine.store.store import FILE
from engine.upkeep.reading import reading

NOBODY = 65534
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a few thousand events, closed in order."""
    path = tmp_path / FILE
    connection = open_writer(path)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO events (at, job, body) VALUES (1, ?, ?)", ((number, "x" * 300) for number in range(3_000))
    )
    connection.execute("COMMIT")
    connection.close()
    return path


def spoil(path: Path, page: int) -> None:
    """Noise in one page, as a failing disk leaves it."""
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE)


def refusal(path: Path) -> HeadwayError:
    with pytest.raises(HeadwayError) as refused:
        open_writer(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return refused.value


def read_refusal(path: Path) -> HeadwayError:
    """What those say that read it past the engine."""
    with pytest.raises(HeadwayError) as refused, reading(path, current=False):
        pass
    return refused.value


def test_damage_anywhere_is_found_before_the_engine_starts(path: Path) -> None:
    spoil(path, 150)
    assert isinstance(refusal(path), StorageError)
    assert "is damaged" in str(refusal(path))
    assert "restore a backup" in str(refusal(path))


def test_the_newest_backup_is_named(path: Path) -> None:
    backups = path.parent / "backups"
    backups.mkdir()
    for name, at in (("old.db", 1), ("new.db", 3), ("middle.tar.gz", 2)):
        (backups / name).write_bytes(b"x")
        os.utime(backups / name, (at, at))
    (backups / ".new.db.7.tmp").write_bytes(b"unfinished")
    spoil(path, 150)
    assert newest_backup(path.parent) == backups / "new.db"
    assert f"`headway restore {backups / 'new.db'}`" in str(refusal(path))


def test_a_table_that_is_missing_is_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE attempts")
    assert "it has no table attempts" in str(refusal(path))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("table", "submissions"), ("table", "dependencies"), ("index", "jobs_unique"), ("trigger", "jobs_counted_out")],
)
def test_any_part_that_is_missing_is_damage(path: Path, kind: str, name: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP {kind} {name}")
    assert isinstance(refusal(path), StorageError)
    assert f"is damaged (it has no {kind} {name})" in str(refusal(path))


def test_an_empty_file_is_no_database_where_jobs_have_run(path: Path) -> None:
    """A file system that was full or crashed leaves such a one: the jobs must not seem never to have been."""
    os.truncate(path, 0)
    (path.parent / "runs" / "1" / "1").mkdir(parents=True)
    for ask in (refusal, read_refusal):
        assert isinstance(ask(path), StorageError)
        assert "is damaged (it is empty, though jobs have run" in str(ask(path))
    assert path.stat().st_size == 0
    (path.parent / "runs" / "1" / "1").rmdir()
    (path.parent / "runs" / "1").rmdir()
    open_writer(path).close()


@pytest.mark.parametrize("empty", [True, False])
def test_a_journal_without_its_database_is_not_taken_over(path: Path, empty: bool) -> None:
    """SQLite would put the pages of the journal into a new, empty database."""
    connection = open_writer(path)
    connection.execute("INSERT INTO events (at, body) VALUES (1, '{}')")
    journal = path.with_name(f"{FILE}-wal").read_bytes()
    connection.close()
    path.write_bytes(b"") if empty else path.unlink()
    path.with_name(f"{FILE}-wal").write_bytes(journal)
    assert "its journal headway.db-wal is there" in str(refusal(path))
    assert path.with_name(f"{FILE}-wal").read_bytes() == journal
    assert path.exists() == empty


def test_a_directory_in_its_place_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.mkdir()
    for ask in (refusal, read_refusal):
        assert isinstance(ask(path), StorageError)
        assert "is a directory, where the database belongs" in str(ask(path))


def test_an_empty_database_has_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.touch()
    assert isinstance(read_refusal(path), NotFoundError)


def test_a_large_database_that_ended_in_order_is_not_looked_through(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "CHECK_BYTES", 100 * PAGE)
    spoil(path, 150)
    open_writer(path).close()


def test_one_whose_last_engine_was_killed_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "CHECK_BYTES", 100 * PAGE)
    connection = open_writer(path)
    connection.execute("INSERT INTO events (at, body) VALUES (1, '{}')")
    journal = path.with_name(f"{FILE}-wal").read_bytes()
    held = path.read_bytes()
    connection.close()
    path.write_bytes(held)
    path.with_name(f"{FILE}-wal").write_bytes(journal)
    spoil(path, 150)
    assert "is damaged" in str(refusal(path))


def test_after_a_kill_a_whole_database_opens_with_all_that_was_answered(path: Path, tmp_path: Path) -> None:
    connection = open_writer(path)
    connection.execute("INSERT INTO events (at, body) VALUES (2, '{}')")
    copy = tmp_path / "copy" / FILE
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    connection.close()
    again = open_writer(copy)
    assert again.execute("SELECT count(*) FROM events WHERE at = 2").fetchone() == (1,)
    again.close()


def test_a_database_from_the_future_is_refused_in_one_line(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    before = path.read_bytes()
    assert isinstance(refusal(path), RefusedError)
    assert "written by a newer Headway" in str(refusal(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"this was a database once " * 400, b"SQLite format 3\0" + b"\0" * 5_000, b"x"])
def test_what_is_no_database_is_refused_in_one_line_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert isinstance(refusal(path), StorageError | RefusedError)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    connection = open_writer(tmp_path / FILE)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A home that its owner cannot write, and not to be root in it."""
    directory = Path(tempfile.mkdtemp())
    open_writer(directory / FILE).close()
    (directory / FILE).chmod(0o444)
    directory.chmod(0o755)
    if os.getuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
        os.chown(directory / FILE, NOBODY, NOBODY)
        directory.chmod(0o500)
        os.seteuid(NOBODY)
    else:
        directory.chmod(0o500)
    yield directory
    if os.getuid() == 0:
        os.seteuid(0)
    directory.chmod(0o755)
    shutil.rmtree(directory)


def test_a_home_that_cannot_be_written_is_one_clear_line(read_only: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be (written; name another home|used as a home)") as no:
        make_home(read_only)
    assert "\n" not in str(no.value)
    with pytest.raises(StorageError, match=r"cannot be (opened|written)"):
        open_writer(read_only / FILE)


def test_new_databases_can_give_their_room_back(path: Path) -> None:
    connection = open_writer(path)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def test_opening_changes_nothing_in_an_older_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as old:
        old.execute("PRAGMA auto_vacuum = NONE")
        schema.migrate(old, migrations())
    open_writer(tmp_path / FILE).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as again:
        assert again.execute("PRAGMA auto_vacuum").fetchone() == (0,)
