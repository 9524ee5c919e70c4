"""A restore is refused or whole, and what was there before is still there."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from engine import events as log
from engine.clock import now_ms
from engine.errors import NotFoundError, RefusedError, StorageError
from engine.home import Holder, Lock
from engine.model import Verb
from engine.runner.run_dir import run_dir
from engine.store import Store, actions
from engine.store.fold import rebuild
from engine.store.rows import SELECT_JOB, job_row
from engine.store.schema import migrations, open_writer
from engine.store.store import FILE
from engine.store.verbs import Request, act
from engine.upkeep import archive
from engine.upkeep import restore as module
from engine.upkeep.backup import backup
from engine.upkeep.kept import kept_as
from engine.upkeep.restore import restore
from engine.upkeep.runs import compress
from tests.upkeep.samples import DAY, NOW, Bench, usage


def titles(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT title FROM jobs ORDER BY id")]


@pytest.fixture
async def saved(bench: Bench, tmp_path: Path) -> Path:
    """A backup of two jobs, one of which runs; the home has one more since, and no engine."""
    await bench.ended(usage(), title="ended", output=b"printed\n")
    await bench.start(await bench.submit("running"))
    (bench.home / "headway.yaml").write_text("grace: 2\n")
    backup(bench.home, tmp_path / "copy.db", bench.home / "headway.yaml")
    backup(bench.home, tmp_path / "copy.tar.gz", bench.home / "headway.yaml", runs=True)
    await bench.submit("later")
    await bench.store.close()
    return tmp_path / "copy.db"


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


async def test_attempts_that_the_backup_does_not_know_are_counted(bench: Bench, saved: Path) -> None:
    bench.store = await Store.open(bench.home, clock=bench)
    await bench.start(3)
    await bench.store.close()
    assert restore(saved, bench.home).strangers == 1


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


async def test_an_archive_cannot_write_outside_the_home(bench: Bench, saved: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar.gz"
    text = tmp_path / "text"
    text.write_text("evil")
    before = (bench.home / FILE).read_bytes()
    names = (
        "runs/1/../../../out",
        "/runs/1/1/out",
        "runs/1/1/../../../../out",
        "../out",
        "worktrees/1/out",
        "runs/x/1/a",
    )
    for name in (*names, "runs/1/1/./out", "runs//1/1/out", FILE, "contents.json"):
        with tarfile.open(evil, "w:gz") as archive:
            archive.add(saved, FILE)
            archive.add(text, name)
        with pytest.raises((RefusedError, StorageError), match=r"which it would not|is damaged"):
            restore(evil, bench.home)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        with tarfile.open(evil, "w:gz") as archive:
            archive.add(saved, FILE)
            link = tarfile.TarInfo("runs/2/1/link")
            link.type, link.linkname = kind, FILE if kind == tarfile.LNKTYPE else str(tmp_path)
            archive.addfile(link)
            archive.add(text, "runs/2/1/link/out")
        with pytest.raises(RefusedError, match="it holds 'runs/2/1/link', which it would not"):
            restore(evil, bench.home)
    assert not list(tmp_path.rglob("out"))
    assert (bench.home / FILE).read_bytes() == before
    assert not list(bench.home.glob("*restoring*"))


def members(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as archive:
        found = [(member, archive.extractfile(member)) for member in archive]
        return [(member, content.read()) for member, content in found if content is not None]


def packed(file: Path, content: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for member, data in content:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


async def test_an_archive_that_is_not_as_it_was_made_is_refused(bench: Bench, saved: Path, tmp_path: Path) -> None:
    good = saved.with_name("copy.tar.gz")
    whole = members(good)
    assert [member.name for member, _ in whole] == [FILE, "headway.yaml", "runs/1/1/stdout", "contents.json"]
    before = (bench.home / FILE).read_bytes()
    spoilt = tmp_path / "spoilt.tar.gz"

    def refused(file: Path, why: str) -> None:
        with pytest.raises((RefusedError, StorageError), match=why) as said:
            restore(file, bench.home)
        assert str(file) in str(said.value)
        assert "\n" not in str(said.value)
        assert (bench.home / FILE).read_bytes() == before
        assert not list(bench.home.glob("*restoring*"))

    for missing in range(len(whole)):
        why = (
            "there is no headway.db in it"
            if missing == 0
            else "its end is missing"
            if missing == 3
            else "not as it was"
        )
        refused(packed(spoilt, whole[:missing] + whole[missing + 1 :]), why)
    changed = [(member, data.replace(b"printed", b"painted")) for member, data in whole]
    refused(packed(spoilt, changed), "'runs/1/1/stdout' is not as it was saved")
    more = tarfile.TarInfo("runs/9/1/stdout")
    refused(packed(spoilt, [*whole[:3], (more, b"x"), whole[3]]), "'runs/9/1/stdout' is not as it was saved")
    refused(packed(spoilt, [*whole, (more, b"x")]), "which it would not")

    data = good.read_bytes()
    for length in (20, 3_000, len(data) // 2, len(data) - 9, len(data) - 1):
        spoilt.write_bytes(data[:length])
        refused(spoilt, "is damaged")
    for at in (60, len(data) // 3, len(data) - 400, len(data) - 6):
        spoilt.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        refused(spoilt, "is damaged|is no backup|which it would not")
    assert restore(good, bench.home).jobs == 2


@pytest.mark.parametrize("form", ["db", "tar.gz"])
async def test_a_database_inside_that_is_not_whole_is_refused(
    bench: Bench, saved: Path, tmp_path: Path, form: str
) -> None:
    before = (bench.home / FILE).read_bytes()
    for sql, why in (
        ("DROP TABLE submissions", "damaged .it has no table submissions"),
        ("DROP INDEX jobs_unique", "damaged .it has no index jobs_unique"),
        ("DROP TRIGGER jobs_counted_out", "damaged .it has no trigger jobs_counted_out"),
        ("DROP TABLE jobs", "damaged .it has no "),
        (f"PRAGMA user_version = {len(migrations()) + 1}", "written by a newer Headway"),
        ("PRAGMA application_id = 7", "is not a Headway database"),
    ):
        inside = tmp_path / "inside.db"
        shutil.copyfile(saved, inside)
        with closing(sqlite3.connect(inside)) as connection:
            connection.execute(sql)
        file = inside
        if form == "tar.gz":
            archive.pack((file := tmp_path / "inside.tar.gz").open("wb"), tmp_path / "none", inside, None)
        with pytest.raises((RefusedError, StorageError), match=why) as said:
            restore(file, bench.home)
        assert str(file) in str(said.value)
        assert (bench.home / FILE).read_bytes() == before
    assert not list(bench.home.glob("*restoring*"))


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


async def test_jobs_that_went_on_since_are_held_so_that_nothing_is_done_twice(bench: Bench, tmp_path: Path) -> None:
    """By the backup they have not ended; by the database that it takes the place of they have."""
    waits, ran, runs, running = [await bench.submit(title) for title in ("waits", "ran", "runs", "running")]
    live = await bench.start(running)
    await bench.store.write(lambda tx: tx.log(log.EngineStarted(pid=1, version="1")))
    cancelled, pruned = await bench.submit("cancelled"), await bench.submit("pruned")
    backup(bench.home, tmp_path / "copy.db")
    await bench.settle(live, usage())
    await bench.settle(await bench.start(ran), usage())
    await bench.start(runs)
    await bench.store.write(lambda tx: act(tx, Request(Verb.CANCEL, [cancelled], "somebody")))
    bench.now -= 40 * DAY
    await bench.settle(await bench.start(pruned), usage())
    bench.now += 40 * DAY
    assert len((await bench.prune()).gone) == 1
    await bench.store.close()

    done = restore(tmp_path / "copy.db", bench.home)
    assert (done.jobs, done.running, done.strangers, done.held) == (6, 1, 1, 5)
    store = await Store.open(bench.home)
    rows = {row.title: row for row in await store.read.rows([waits, ran, runs, running, cancelled, pruned])}
    assert {title for title, row in rows.items() if row.held_by == "restore"} == {*rows} - {"waits"}
    assert (await store.read.counts()).held == 5
    undone = await store.write(lambda tx: actions.undo(tx, "somebody", None, dry_run=False))
    assert len(undone.undone.restored) == 5
    await store.close()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        assert rebuild(connection) == {row.id: row for row in map(job_row, connection.execute(SELECT_JOB))}


async def test_another_homes_backup_holds_nothing(bench: Bench, saved: Path, tmp_path: Path) -> None:
    """Its jobs have the same numbers and are others."""
    other = Bench(await Store.open(tmp_path, clock=lambda: NOW + 5), tmp_path)
    other.now = NOW + 5
    for _ in range(4):
        await other.ended(days=0)
    await other.store.close()
    (tmp_path / "another").mkdir()
    (tmp_path / FILE).rename(tmp_path / "another" / FILE)
    assert restore(saved, tmp_path / "another").held == 0


async def test_output_that_was_compressed_since_is_there_to_settle_from(bench: Bench, tmp_path: Path) -> None:
    job = await bench.submit()
    attempt = await bench.start(job)
    text = b"it has ended\n" * 1_000
    stdout = bench.write_run(job, text)
    backup(bench.home, tmp_path / "copy.db")
    await bench.settle(attempt)
    compress(stdout)
    assert not stdout.exists()
    await bench.store.close()
    restore(tmp_path / "copy.db", bench.home)
    assert stdout.read_bytes() == text
    assert not kept_as(stdout).exists()


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
