"""Opening the database: what is set, what is brought up to date, and what is refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import HeadwayError, RefusedError, StorageError
from engine.store import Store, schema
from engine.store.schema import APPLICATION_ID, migrations, open_writer, split, storage_error
from tests import fresh
from tests.fresh import long_way as migrate

NOBODY = 65534


@pytest.fixture(autouse=True)
def _by_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "migrate", migrate)


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def schema_of(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headway.db"


def test_a_fresh_database_has_the_newest_schema_and_our_mark(path: Path) -> None:
    connection = open_writer(path)
    assert pragma(connection, "user_version") == len(migrations()) >= 1
    assert pragma(connection, "application_id") == APPLICATION_ID
    assert {"jobs", "attempts", "events", "counts"} <= {name for name, _ in schema_of(connection)}
    connection.close()


def test_the_copy_that_other_tests_start_from_is_what_the_migrations_make(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("user_version", "application_id", "auto_vacuum", "journal_mode", "page_size", "encoding")

    def made(place: Path) -> tuple[object, ...]:
        with contextlib.closing(open_writer(place)) as connection:
            rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in _tables(connection)}
            return schema_of(connection), rows, [pragma(connection, name) for name in asked]

    long = made(path)
    monkeypatch.setattr(schema, "migrate", fresh.migrate)
    assert made(path.with_name("copy.db")) == long


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [name for (name,) in found.fetchall()]


def test_an_answered_write_survives_power_loss_so_the_pragmas_are_really_set(path: Path) -> None:
    connection = open_writer(path)
    assert pragma(connection, "journal_mode") == "wal"
    assert pragma(connection, "synchronous") == 2, "FULL"
    assert pragma(connection, "foreign_keys") == 1
    assert pragma(connection, "busy_timeout") == schema.BUSY_MS
    connection.close()


def test_opening_again_changes_nothing(path: Path) -> None:
    first = open_writer(path)
    before = schema_of(first)
    first.execute("INSERT INTO events (at, body) VALUES (1, '{}')")
    first.close()
    second = open_writer(path)
    assert schema_of(second) == before
    assert second.execute("SELECT count(*) FROM events").fetchone() == (1,)
    second.close()


def test_a_migration_brings_an_older_database_up(path: Path) -> None:
    connection = open_writer(path)
    migrate(connection, [*migrations(), "CREATE TABLE later (x INTEGER) STRICT;"])
    assert pragma(connection, "user_version") == len(migrations()) + 1
    assert "later" in {name for name, _ in schema_of(connection)}
    connection.close()


def test_a_failing_migration_leaves_the_old_version_as_it_was(path: Path) -> None:
    connection = open_writer(path)
    before = schema_of(connection)
    good = "CREATE TABLE half (x INTEGER) STRICT;\nINSERT INTO events (at, body) VALUES (1, '{}');"
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        migrate(connection, [*migrations(), good, "DROP TABLE jobs;\nDROP TABLE nowhere;"])
    assert not connection.in_transaction
    assert schema_of(connection) == before
    assert pragma(connection, "user_version") == len(migrations())
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    connection.close()


def test_a_migration_that_fills_the_disk_says_so_and_changes_nothing(path: Path) -> None:
    connection = open_writer(path)
    before = schema_of(connection)
    connection.execute(f"PRAGMA max_page_count = {pragma(connection, 'page_count')}")
    huge = "CREATE TABLE large (x BLOB) STRICT;\nINSERT INTO large VALUES (zeroblob(1000000));"
    with pytest.raises(sqlite3.OperationalError, match="full"):
        migrate(connection, [*migrations(), huge])
    assert schema_of(connection) == before
    connection.close()


def test_a_migration_that_sqlite_rolled_back_itself_still_says_what_was_wrong(path: Path) -> None:
    connection = open_writer(path)
    twice = "INSERT OR ROLLBACK INTO counts VALUES ('ready', 1);"
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        migrate(connection, [*migrations(), twice])
    connection.close()


def test_every_migration_from_every_older_version_ends_at_the_same_schema(path: Path, tmp_path: Path) -> None:
    fresh = open_writer(path)
    wanted = schema_of(fresh)
    fresh.close()
    scripts = migrations()
    for version in range(1, len(scripts) + 1):
        old = sqlite3.connect(tmp_path / f"{version}.db", isolation_level=None)
        migrate(old, scripts[:version])
        old.close()
        brought_up = open_writer(tmp_path / f"{version}.db")
        assert schema_of(brought_up) == wanted, f"from version {version}"
        brought_up.close()


def test_a_database_newer_than_the_code_is_refused_and_left_alone(path: Path) -> None:
    connection = open_writer(path)
    connection.execute(f"PRAGMA user_version = {len(migrations()) + 3}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=rf"newer Headway: its schema is {len(migrations()) + 3}") as refused:
        open_writer(path)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mark", [0, 0x0F055112])
def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, mark: int) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE places (url TEXT)")
    other.execute(f"PRAGMA application_id = {mark}")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="not a Headway database"):
        open_writer(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"this was a database once " * 400)
    with pytest.raises(StorageError, match="is damaged"):
        open_writer(path)


@pytest.mark.parametrize("cut", [600, 2000, 5000])
def test_a_truncated_database_is_a_storage_error(path: Path, cut: int) -> None:
    open_writer(path).close()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StorageError):
        connection = open_writer(path)
        try:
            connection.execute("PRAGMA integrity_check").fetchall()
            connection.execute("SELECT * FROM jobs").fetchall()
        except sqlite3.Error as error:
            raise storage_error(error, path) from error
        finally:
            connection.close()


async def test_pages_overwritten_with_noise_are_reported_by_the_reader(path: Path, tmp_path: Path) -> None:
    open_writer(path).close()
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    with pytest.raises(StorageError, match="is damaged"):
        store = await Store.open(tmp_path)
        try:
            await store.read.newest_events(10)
        finally:
            await store.close()


def test_a_missing_directory_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        open_writer(tmp_path / "nowhere" / "headway.db")


def test_the_files_are_for_the_owner_alone(path: Path) -> None:
    before = os.umask(0o022)
    try:
        connection = open_writer(path)
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    finally:
        os.umask(before)
    connection.close()
    assert modes == {"headway.db": 0o600, "headway.db-wal": 0o600, "headway.db-shm": 0o600}


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A directory that everybody can enter, and not to be root in it."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    os.seteuid(0) if os.getuid() == 0 else None
    directory.chmod(0o755)
    shutil.rmtree(directory)


def give_up_rights(directory: Path) -> None:
    directory.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(NOBODY)


@pytest.mark.parametrize("made_before", [False, True])
def test_a_database_that_cannot_be_written_is_a_storage_error(as_nobody: Path, made_before: bool) -> None:
    path = as_nobody / "headway.db"
    if made_before:
        open_writer(path).close()
        path.chmod(0o444)
    give_up_rights(as_nobody)
    with pytest.raises(StorageError, match=r"cannot be (opened|written)"):
        connection = open_writer(path)
        connection.execute("BEGIN IMMEDIATE")


async def test_a_home_with_awkward_characters_opens(tmp_path: Path) -> None:
    home = tmp_path / "a b?c#d%20é"
    home.mkdir()
    store = await Store.open(home)
    assert await store.read.newest_seq() == 0
    await store.close()


def test_split_keeps_triggers_whole_and_refuses_an_unfinished_end() -> None:
    script = (
        "-- a comment; with a semicolon\nCREATE TABLE t (a);\n"
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN\n  UPDATE t SET a = ';';\n  DELETE FROM t;\nEND;\n-- the end\n"
    )
    statements = split(script)
    assert len(statements) == 2
    assert statements[1].endswith("END;")
    with pytest.raises(ValueError, match="unfinished"):
        split("CREATE TABLE t (a);\nCREATE TABLE u (")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_FULL, "is full"),
        (sqlite3.SQLITE_READONLY, "read-only"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT, "is damaged"),
        (sqlite3.SQLITE_NOTADB, "is damaged"),
        (sqlite3.SQLITE_BUSY, "locked by another program"),
        (sqlite3.SQLITE_IOERR | 2 << 8, "disk I/O error"),
    ],
)
def test_every_complaint_of_sqlite_says_which_file_and_what(code: int, words: str) -> None:
    complaint = sqlite3.OperationalError("disk I/O error")
    complaint.sqlite_errorcode = code
    told = storage_error(complaint, Path("/var/headway/headway.db"))
    assert isinstance(told, HeadwayError)
    assert words in str(told)
    assert "/var/headway/headway.db" in str(told)
