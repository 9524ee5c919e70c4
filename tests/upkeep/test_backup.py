"""A backup is whole, compact and for the owner alone, whatever the engine does meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import os
import sqlite3
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from engine.errors import NotFoundError, RefusedError, StorageError
from engine.home import make_home
from engine.runner.run_dir import run_dir
from engine.store.fold import rebuild
from engine.store.rows import SELECT_JOB, job_row
from engine.store.schema import APPLICATION_ID, migrations, newest_backup, open_writer
from engine.store.store import FILE
from engine.upkeep import archive
from engine.upkeep.backup import backup, default_file
from engine.upkeep.runs import compress
from tests.upkeep.samples import Bench, usage


def ask(file: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


async def test_a_backup_holds_everything_and_the_settings(bench: Bench, tmp_path: Path) -> None:
    await bench.ended(usage())
    running = await bench.submit()
    await bench.start(running)
    settings = bench.home / "headway.yaml"
    settings.write_text("max_running: 3\n")
    file = tmp_path / "copy.db"
    done = backup(bench.home, file, settings)
    assert (done.file, done.jobs, done.running) == (file, 2, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    assert ask(file, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert ask(file, "PRAGMA user_version") == [(len(migrations()),)]
    assert ask(file, "SELECT count(*) FROM events") == bench.ask("SELECT count(*) FROM events")
    assert ask(file, "SELECT content FROM backup WHERE name = 'headway.yaml'") == [(b"max_running: 3\n",)]
    assert ask(file, "SELECT seq FROM sqlite_sequence ORDER BY name") == bench.ask(
        "SELECT seq FROM sqlite_sequence ORDER BY name"
    )


async def test_a_backup_while_the_engine_writes_is_of_one_moment(bench: Bench, tmp_path: Path) -> None:
    for _ in range(30):
        await bench.ended(title="x" * 20_000)
    writing = True

    async def write() -> int:
        count = 0
        while writing:
            await bench.settle(await bench.start(await bench.submit()))
            count += 1
        return count

    writer = asyncio.create_task(write())
    files = [tmp_path / f"{number}.db" for number in range(5)]
    for file in files:
        await asyncio.to_thread(backup, bench.home, file)
    writing = False
    assert await writer > 0
    for file in files:
        with closing(sqlite3.connect(file)) as connection:
            told = rebuild(connection)
            assert told == {row.id: row for row in map(job_row, connection.execute(SELECT_JOB))}
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_a_backup_leaves_the_free_room_out(bench: Bench, tmp_path: Path) -> None:
    for _ in range(20):
        await bench.ended(title="x" * 50_000)
    await bench.prune()
    backup(bench.home, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").stat().st_size < (bench.home / FILE).stat().st_size / 5


def test_an_old_database_becomes_one_that_can_shrink(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with closing(sqlite3.connect(home / FILE)) as old:
        old.execute("PRAGMA auto_vacuum = NONE")
        old.execute("CREATE TABLE first (x)")
        old.execute("DROP TABLE first")
    open_writer(home / FILE).close()
    assert ask(home / FILE, "PRAGMA auto_vacuum") == [(0,)]
    backup(home, tmp_path / "copy.db")
    assert ask(tmp_path / "copy.db", "PRAGMA auto_vacuum") == [(2,)]


async def test_with_runs_it_is_an_archive_of_all_three(bench: Bench, tmp_path: Path) -> None:
    job = await bench.ended(output=b"printed\n")
    run = run_dir(bench.home, job, 1)
    os.mkfifo(run.path / "pipe")
    (run.path / "link").symlink_to("/etc/passwd")
    (bench.home / "headway.yaml").write_text("grace: 2\n")
    file = tmp_path / "copy.tar.gz"
    done = backup(bench.home, file, bench.home / "headway.yaml", runs=True)
    assert (done.jobs, done.runs) == (1, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        assert archive.getnames() == [FILE, "headway.yaml", f"runs/{job}/1/stdout", "contents.json"]
        assert {member.uid for member in archive} == {0}
        printed = archive.extractfile(f"runs/{job}/1/stdout")
        assert printed is not None
        assert printed.read() == b"printed\n"
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.tar.gz"]


async def test_an_earlier_backup_is_replaced_and_anything_else_is_not(bench: Bench, tmp_path: Path) -> None:
    await bench.ended()
    file = tmp_path / "copy.db"
    backup(bench.home, file)
    await bench.ended()
    assert backup(bench.home, file).jobs == 2
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE places (url)")
    link = tmp_path / "link"
    link.symlink_to(thesis)
    for wrong, why in (
        (thesis, "is no backup of Headway"),
        (other, "is no backup of Headway"),
        (link, "not a plain file"),
        (tmp_path, "is a directory; name a file in it"),
        (tmp_path / "nowhere" / "x.db", "is not a directory"),
        (bench.home / FILE, "among the files of a home"),
        (bench.home / f"{FILE}-wal", "among the files of a home"),
        (bench.home / "copy.db", "among the files of a home"),
    ):
        with pytest.raises(RefusedError, match=why):
            backup(bench.home, wrong)
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("runs", [False, True])
async def test_a_live_database_is_no_backup_wherever_it_lies(bench: Bench, tmp_path: Path, runs: bool) -> None:
    """Somebody else's home: its database is one of Headway's, and nothing says that it may go."""
    await bench.ended()
    other = tmp_path / "other"
    make_home(other)
    open_writer(other / FILE).close()
    moved = tmp_path / "moved.db"
    connection = open_writer(moved)
    for wrong in (other / FILE, other / "copy.db", moved):
        with pytest.raises(RefusedError):
            backup(bench.home, wrong, runs=runs)
    connection.execute("INSERT INTO events (at, body) VALUES (1, '{}')")
    connection.close()
    with pytest.raises(RefusedError, match=r"is there already and is no backup of Headway"):
        backup(bench.home, moved, runs=runs)
    assert ask(moved, "SELECT count(*) FROM events") == [(1,)]
    assert ask(other / FILE, "SELECT count(*) FROM events") == [(0,)]
    assert not (other / "copy.db").exists()


async def test_somebody_elses_archive_is_no_backup(bench: Bench, tmp_path: Path) -> None:
    thesis, archive = tmp_path / "thesis.txt", tmp_path / "thesis.tar.gz"
    thesis.write_text("years of work")
    with tarfile.open(archive, "w:gz") as file:
        file.add(thesis, "thesis.txt")
    before = archive.read_bytes()
    with pytest.raises(RefusedError, match="is no backup of Headway"):
        backup(bench.home, archive, runs=True)
    assert archive.read_bytes() == before
    mine = tmp_path / "mine.tar.gz"
    for _ in range(2):
        assert backup(bench.home, mine, runs=True).runs == 0


async def test_output_that_is_compressed_meanwhile_is_in_the_archive(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine may tidy between the listing of a directory and the reading of its files."""
    text = b"printed\n" * 4_000
    job = await bench.ended(output=text)
    stdout = run_dir(bench.home, job, 1).stdout
    walk = os.walk

    def listing(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        everything = list(walk(top))
        compress(stdout)
        yield from everything

    monkeypatch.setattr("engine.upkeep.archive.os.walk", listing)
    file = tmp_path / "copy.tar.gz"
    assert backup(bench.home, file, runs=True).runs == 1
    with tarfile.open(file) as archive:
        packed = archive.extractfile(f"runs/{job}/1/stdout.gz")
        assert packed is not None
        assert gzip.decompress(packed.read()) == text


async def test_an_archive_that_does_not_read_back_gets_no_name(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that says it wrote and did not."""
    await bench.ended(output=b"printed\n" * 4_000)
    pack = archive.pack

    def spoilt(out: BinaryIO, *rest: Any) -> int:
        count = pack(out, *rest)
        out.seek(-5_000, os.SEEK_END)
        out.write(b"\0" * 100)
        return count

    monkeypatch.setattr(archive, "pack", spoilt)
    with pytest.raises(StorageError, match="is damaged"):
        backup(bench.home, tmp_path / "copy.tar.gz", runs=True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_home_without_a_database_has_nothing_to_back_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(NotFoundError, match="there is no database in"):
        backup(home, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert list(home.iterdir()) == []


async def test_a_damaged_database_makes_no_backup_and_leaves_the_last_one(bench: Bench, tmp_path: Path) -> None:
    for _ in range(30):
        await bench.ended(title="x" * 5_000)
    file = tmp_path / "copy.db"
    backup(bench.home, file)
    good = file.read_bytes()
    await bench.store.close()
    data = bytearray((bench.home / FILE).read_bytes())
    for start in range(8 * 4096, len(data), 4096):
        data[start : start + 4096] = b"\xa5" * 4096
    (bench.home / FILE).write_bytes(data)
    with pytest.raises(StorageError, match="is damaged"):
        backup(bench.home, file)
    assert file.read_bytes() == good
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]


async def test_a_database_that_lost_a_table_makes_no_backup(bench: Bench, tmp_path: Path) -> None:
    """A restore would refuse it."""
    await bench.store.close()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        connection.execute("DROP TABLE batches")
    with pytest.raises(StorageError, match="it has no table batches"):
        backup(bench.home, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_backup_without_a_name_goes_below_the_home_and_is_the_newest(bench: Bench) -> None:
    file = default_file(bench.home, runs=False)
    assert file.parent == bench.home / "backups"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    backup(bench.home, file)
    assert newest_backup(bench.home) == file
    assert default_file(bench.home, runs=True).name.endswith("Z.tar.gz")


def killed() -> int:
    """The number of a process that was there."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("runs", [False, True])
async def test_what_a_killed_backup_left_is_cleared_by_the_next(bench: Bench, tmp_path: Path, runs: bool) -> None:
    """In the home's own folder whatever its name; elsewhere only what would have been the same file."""
    await bench.ended()
    ours = default_file(bench.home, runs=runs)
    theirs = tmp_path / "copy.db"
    for file in (ours, theirs):
        for name in (file.name, "headway-before.db"):
            for suffix in ("db", "db-journal", "tmp"):
                file.with_name(f".{name}.{killed()}.{suffix}").touch()
        file.with_name(f".{file.name}.{os.getppid()}.tmp").touch()
        backup(bench.home, file, runs=runs)
    alive = f"{os.getppid()}.tmp"
    assert sorted(path.name for path in ours.parent.iterdir()) == [f".{ours.name}.{alive}", ours.name]
    left = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert {name for name in left if not name.startswith(".headway-before.db.")} == {"copy.db", f".copy.db.{alive}"}
    assert len(left) == 5, "another backup's drafts are not ours to remove"
