"""A restore is refused or whole, and what was there before is still there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from engine.clock import now_ms
from engine.errors import NotFoundError, RefusedError, StorageError
from engine.home import Holder, Lock
from engine.runner.run_dir import run_dir
from engine.store import Store
from engine.store.fold import rebuild
from engine.store.rows import SELECT_JOB, job_row
from engine.store.schema import migrations, open_writer
from engine.store.store import FILE
from engine.upkeep import restore as module
from engine.upkeep.restore import rehearse, restore
from tests.upkeep.samples import Bench


def titles(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT title FROM jobs ORDER BY id")]


@pytest.fixture(params=["copy.db", "copy.tar.gz"])
def either(request: pytest.FixtureRequest, saved: Path) -> Path:
    return saved.with_name(request.param)


async def test_a_backup_takes_the_databases_place_which_is_moved_aside(bench: Bench, either: Path) -> None:
    done = restore(either, bench.home, bench.home / "headway.yaml")
    assert (done.jobs, done.running, done.strangers, done.settings) == (2, 1, 0, "same")
    assert done.aside is not None
    assert titles(bench.home / FILE) == ["ended", "running"]
    assert titles(done.aside) == ["ended", "running", "later"]
    assert stat.S_IMODE((bench.home / FILE).stat().st_mode) == 0o600
    assert not [path for path in bench.home.iterdir() if "restoring" in path.name]
    store = await Store.open(bench.home)
    assert (await store.read.counts()).unfinished == 1
    await store.close()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        assert rebuild(connection) == {row.id: row for row in map(job_row, connection.execute(SELECT_JOB))}
        assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'backup'").fetchall()


async def test_a_restored_database_has_the_schema_of_a_fresh_one(bench: Bench, either: Path, tmp_path: Path) -> None:
    restore(either, bench.home, None)
    fresh = open_writer(tmp_path / "fresh.db")
    restored = open_writer(bench.home / FILE)
    sql = "SELECT name, sql FROM sqlite_schema ORDER BY name"
    assert restored.execute(sql).fetchall() == fresh.execute(sql).fetchall()
    assert restored.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    fresh.close()
    restored.close()


async def test_into_a_home_that_is_not_there_yet(saved: Path, tmp_path: Path) -> None:
    home = tmp_path / "another"
    done = restore(saved, home)
    assert (done.jobs, done.aside, done.settings) == (2, None, "restored")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / "headway.yaml").read_text() == "grace: 2\n"


async def test_settings_that_differ_are_put_beside(bench: Bench, saved: Path) -> None:
    settings = bench.home / "headway.yaml"
    settings.write_text("grace: 9\n")
    assert restore(saved, bench.home, settings).settings == "beside"
    assert settings.read_text() == "grace: 9\n"
    assert (bench.home / "headway.yaml.restored").read_text() == "grace: 2\n"


async def test_run_directories_come_back_where_they_are_missing(bench: Bench, saved: Path) -> None:
    archive = saved.with_name("copy.tar.gz")
    run = run_dir(bench.home, 1, 1)
    assert restore(archive, bench.home).runs == 0
    assert run.stdout.read_bytes() == b"printed\n"
    shutil.rmtree(bench.home / "runs")
    assert restore(archive, bench.home).runs == 1
    assert run.stdout.read_bytes() == b"printed\n"


async def test_a_home_with_an_engine_is_refused(bench: Bench, saved: Path) -> None:
    lock = Lock.take(bench.home, Holder(os.getpid(), "1", now_ms()))
    before = (bench.home / FILE).read_bytes()
    try:
        with pytest.raises(RefusedError, match=rf"pid {os.getpid()} .* stop it first with `headway shutdown`"):
            restore(saved, bench.home)
    finally:
        lock.release()
    assert (bench.home / FILE).read_bytes() == before
    restore(saved, bench.home)


async def test_what_is_no_backup_is_refused_and_changes_nothing(bench: Bench, saved: Path, tmp_path: Path) -> None:
    before = sorted((path.name, path.read_bytes()) for path in bench.home.iterdir() if path.name == FILE)
    newer = tmp_path / "newer.db"
    shutil.copyfile(saved, newer)
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE places (url)")
    text = tmp_path / "thesis.txt"
    text.write_text("years of work")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(saved.read_bytes()[:8192] + b"\xa5" * (saved.stat().st_size - 8192))
    empty = tmp_path / "empty.tar.gz"
    with tarfile.open(empty, "w:gz") as archive:
        archive.add(text, "thesis.txt")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(saved.with_name("copy.tar.gz").read_bytes()[:3_000])
    for file, error, why in (
        (tmp_path / "nothing.db", NotFoundError, "there is no file"),
        (newer, RefusedError, rf"newer Headway: its schema is {len(migrations()) + 1}, this one knows"),
        (other, RefusedError, "is not a Headway database"),
        (text, RefusedError, "is no backup of Headway"),
        (damaged, StorageError, "is damaged"),
        (empty, RefusedError, "it holds 'thesis.txt', which it would not"),
        (cut, StorageError, "is damaged"),
        (bench.home / FILE, RefusedError, "the database of this home itself"),
    ):
        with pytest.raises(error, match=why) as refused:
            restore(file, bench.home)
        assert "\n" not in str(refused.value)
        assert str(file) in str(refused.value)
    assert sorted((path.name, path.read_bytes()) for path in bench.home.iterdir() if path.name == FILE) == before
    assert not [path.name for path in bench.home.iterdir() if "restoring" in path.name or "before" in path.name]


async def test_a_refused_backup_makes_no_home(saved: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.tar.gz"
    spoilt.write_bytes(saved.with_name("copy.tar.gz").read_bytes()[:3_000])
    with pytest.raises(StorageError):
        restore(spoilt, tmp_path / "another")
    assert not (tmp_path / "another").exists()


async def test_what_is_no_plain_file_is_not_waited_for(bench: Bench, saved: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for wrong in (tmp_path / "pipe", tmp_path):
        with pytest.raises(RefusedError, match="is not a plain file"):
            restore(wrong, bench.home)
    os.link(bench.home / FILE, tmp_path / "itself.db")
    with pytest.raises(RefusedError, match="the database of this home itself"):
        restore(tmp_path / "itself.db", bench.home)


async def test_run_files_that_cannot_be_put_back_are_told_beside_the_restored_database(
    bench: Bench, saved: Path
) -> None:
    shutil.rmtree(bench.home / "runs")
    (bench.home / "runs").write_text("a file in the way")
    with pytest.raises(StorageError, match=r"is in place, but not all that belongs to it: .* once more"):
        restore(saved.with_name("copy.tar.gz"), bench.home)
    assert titles(bench.home / FILE) == ["ended", "running"]
    (bench.home / "runs").unlink()
    assert restore(saved.with_name("copy.tar.gz"), bench.home).runs == 1


async def test_a_damaged_database_is_moved_aside_with_its_journal(bench: Bench, saved: Path) -> None:
    (bench.home / FILE).write_bytes(b"this was a database once " * 400)
    (bench.home / f"{FILE}-wal").write_bytes(b"and this its journal")
    done = restore(saved, bench.home)
    assert done.aside is not None
    assert done.aside.read_bytes().startswith(b"this was a database")
    assert done.aside.with_name(f"{done.aside.name}-wal").read_bytes() == b"and this its journal"
    assert titles(bench.home / FILE) == ["ended", "running"]


async def test_the_journal_of_a_killed_engine_is_not_taken_for_the_restored_ones(bench: Bench, saved: Path) -> None:
    """What the last engine wrote is still in its journal: it belongs to the database that is moved aside."""
    connection = open_writer(bench.home / FILE)
    connection.execute("UPDATE jobs SET title = 'in the journal' WHERE id = 3")
    journal = (bench.home / f"{FILE}-wal").read_bytes()
    held = (bench.home / FILE).read_bytes()
    connection.close()
    (bench.home / FILE).write_bytes(held)
    (bench.home / f"{FILE}-wal").write_bytes(journal)
    done = restore(saved, bench.home)
    assert done.aside is not None
    assert titles(done.aside) == ["ended", "running", "in the journal"]
    assert titles(bench.home / FILE) == ["ended", "running"]
    assert not (bench.home / f"{FILE}-wal").exists() or (bench.home / f"{FILE}-wal").stat().st_size == 0


async def test_a_database_with_its_own_journal_can_be_restored_too(bench: Bench, tmp_path: Path) -> None:
    """A home that was copied as it was, as after a crash of its machine."""
    await bench.ended(title="in the journal")
    copy = tmp_path / "copied.db"
    for suffix in ("", "-wal"):
        shutil.copyfile(bench.home / f"{FILE}{suffix}", f"{copy}{suffix}")
    done = restore(copy, tmp_path / "another")
    assert done.jobs == 1
    assert titles(tmp_path / "another" / FILE) == ["in the journal"]


@pytest.mark.parametrize("step", ["_settle_present", "_swap", "_put_runs"])
async def test_a_crash_on_the_way_leaves_one_whole_database_in_place(
    bench: Bench, saved: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(BaseException):
        pass

    def stop(*arguments: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(module, step, stop)
        with pytest.raises(StoppedError):
            restore(saved, bench.home)
    before = ["ended", "running", "later"]
    assert titles(bench.home / FILE) == (["ended", "running"] if step == "_put_runs" else before)
    assert restore(saved, bench.home).jobs == 2


async def test_twice_in_one_second_keeps_both_that_were_there(bench: Bench, saved: Path) -> None:
    first, second, third = (restore(saved, bench.home).aside for _ in range(3))
    assert len({first, second, third}) == 3
    assert first is not None
    assert titles(first) == ["ended", "running", "later"]


async def test_a_rehearsal_judges_the_same_and_changes_nothing(bench: Bench, either: Path) -> None:

    def there() -> list[tuple[Path, bytes]]:
        """All but the lock, and what SQLite makes to read by."""
        files = sorted(path for path in bench.home.rglob("*") if path.is_file())
        return [(path, path.read_bytes()) for path in files if path.suffix not in (".lock", ".db-shm", ".db-wal")]

    before = there()
    lock = Lock.take(bench.home, Holder(os.getpid(), "1", 1))
    seen = rehearse(either, bench.home)
    lock.release()
    assert (seen.jobs, seen.running, seen.strangers, seen.held, seen.aside) == (2, 1, 0, 0, None)
    assert there() == before
    spoilt = bytearray(either.read_bytes())
    spoilt[len(spoilt) // 2] ^= 0x55
    spoilt[len(spoilt) // 2 + 1 : len(spoilt) // 2 + 5_000] = b""
    either.write_bytes(spoilt)
    with pytest.raises(StorageError, match="is damaged"):
        rehearse(either, bench.home)
    with pytest.raises(NotFoundError):
        rehearse(either.with_name("nothing"), bench.home)
    done = restore(either.with_name("copy.db" if either.suffix == ".gz" else "copy.tar.gz"), bench.home)
    assert (done.jobs, done.running, done.held) == (seen.jobs, seen.running, seen.held)
