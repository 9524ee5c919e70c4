"""Run files: kept as gzip after a while, read as before, and never lost on the way."""

from __future__ import annotations

import gzip
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from engine.runner.run_dir import run_dir
from engine.store.store import FILE
from engine.upkeep import kept, runs
from engine.upkeep.kept import go_to, kept_as, last_bytes, opened, pieces
from engine.upkeep.runs import ChangedError, Marks, Turn, compress, compress_old, remove_old
from tests.upkeep.samples import DAY, NOW, Bench

OUTPUT = b"".join(b'{"type": "assistant", "n": %d}\n' % number for number in range(20_000))


@pytest.fixture
def stdout(tmp_path: Path) -> Path:
    path = tmp_path / "stdout"
    path.write_bytes(OUTPUT)
    return path


@pytest.fixture
def connection(bench: Bench) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{bench.home / FILE}?mode=ro", uri=True)) as one:
        yield one


def read(path: Path) -> bytes | None:
    with opened(path) as file:
        return None if file is None else b"".join(pieces(file))


def test_a_file_becomes_a_gzip_that_any_tool_reads(stdout: Path) -> None:
    os.utime(stdout, (1_000_000, 1_000_000))
    saved = compress(stdout)
    packed = kept_as(stdout)
    assert not stdout.exists()
    assert gzip.decompress(packed.read_bytes()) == OUTPUT
    assert saved == len(OUTPUT) - packed.stat().st_size > len(OUTPUT) / 2
    assert packed.stat().st_mode & 0o777 == 0o600
    assert packed.stat().st_mtime == 1_000_000
    assert compress(stdout) == 0, "there is nothing to do any more"


def test_a_file_of_one_block_and_what_is_no_file_stay_as_they_are(tmp_path: Path) -> None:
    small, pipe, link = tmp_path / "small", tmp_path / "pipe", tmp_path / "link"
    small.write_bytes(b"x" * 4_000)
    os.mkfifo(pipe)
    (tmp_path / "elsewhere").write_bytes(OUTPUT)
    link.symlink_to(tmp_path / "elsewhere")
    assert [compress(path) for path in (small, pipe, link, tmp_path / "nothing")] == [0, 0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "link", "pipe", "small"]


def test_a_link_in_the_place_of_the_new_file_is_not_followed(stdout: Path) -> None:
    victim = stdout.with_name("victim")
    victim.write_text("precious")
    stdout.with_name("stdout.gz.tmp").symlink_to(victim)
    compress(stdout)
    assert victim.read_text() == "precious"
    assert read(stdout) == OUTPUT


def test_a_file_that_still_grows_is_left(stdout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deflated = runs._deflated

    def growing(source: BinaryIO, stop: Callable[[], bool]) -> Iterator[bytes]:
        yield from deflated(source, stop)
        with stdout.open("ab") as file:
            file.write(b"one more\n")

    monkeypatch.setattr(runs, "_deflated", growing)
    with pytest.raises(ChangedError, match="still being written"):
        compress(stdout)
    assert stdout.read_bytes() == OUTPUT + b"one more\n"
    assert [path.name for path in stdout.parent.iterdir()] == ["stdout"]


def test_an_engine_that_is_asked_to_stop_leaves_the_file_as_it_was(stdout: Path) -> None:
    assert compress(stdout, stop=lambda: True) == 0
    assert stdout.read_bytes() == OUTPUT
    assert [path.name for path in stdout.parent.iterdir()] == ["stdout"]


@pytest.mark.parametrize("call", range(1, 12))
def test_a_crash_at_any_step_loses_nothing_and_is_mended_later(
    stdout: Path, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each system call in turn is where the machine stops: nothing after it happens."""
    made = 0

    class StoppedError(BaseException):
        pass

    def counted(name: str) -> object:
        real = getattr(os, name)

        def stop(*arguments: object, **options: object) -> object:
            nonlocal made
            made += 1
            if made >= call:
                raise StoppedError
            return real(*arguments, **options)

        return stop

    with monkeypatch.context() as patched:
        for name in ("open", "fsync", "rename", "unlink", "utime"):
            patched.setattr(os, name, counted(name))
        with suppress(StoppedError):
            compress(stdout)
    assert read(stdout) == OUTPUT
    compress(stdout)
    assert read(stdout) == OUTPUT
    assert sorted(path.name for path in stdout.parent.iterdir()) == ["stdout.gz"]


def test_while_both_are_there_the_one_as_it_was_written_is_read(stdout: Path) -> None:
    kept_as(stdout).write_bytes(b"half of a gzip")
    assert read(stdout) == OUTPUT
    compress(stdout)
    assert read(stdout) == OUTPUT


@pytest.mark.parametrize("packed", [False, True])
async def test_reading_is_the_same_in_both_forms(stdout: Path, packed: bool) -> None:
    if packed:
        compress(stdout)
    assert read(stdout) == OUTPUT
    for offset in (0, 1, 70_000, len(OUTPUT) - 1, len(OUTPUT), len(OUTPUT) + 10):
        with opened(stdout) as file:
            assert file is not None
            await go_to(file, offset)
            assert b"".join(pieces(file)) == OUTPUT[offset:]
    for count in (1, 4_000, 65_536, 200_000, len(OUTPUT), len(OUTPUT) + 1):
        assert last_bytes(stdout, count) == (OUTPUT[-count:], max(0, len(OUTPUT) - count))


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "stdout") is None
    assert last_bytes(tmp_path / "stdout", 10) == (b"", 0)


def test_a_damaged_gzip_is_read_as_far_as_it_goes(stdout: Path, caplog: pytest.LogCaptureFixture) -> None:
    stdout.write_bytes(random.Random(1).randbytes(300_000))
    whole = stdout.read_bytes()
    compress(stdout)
    packed = kept_as(stdout)
    packed.write_bytes(packed.read_bytes()[:150_000])
    found = read(stdout)
    assert found is not None
    assert whole.startswith(found)
    assert "is damaged" in caplog.text
    packed.write_bytes(b"this is no gzip at all")
    assert read(stdout) == b""


async def test_only_output_of_attempts_that_ended_long_ago(bench: Bench, connection: sqlite3.Connection) -> None:
    old = await bench.ended(days=3, output=OUTPUT)
    young = await bench.ended(days=0.5, output=OUTPUT)
    bench.now -= 10 * DAY
    live = await bench.submit()
    await bench.start(live)
    bench.now = NOW
    bench.write_run(live, OUTPUT)
    run_dir(bench.home, old, 1).stderr.write_bytes(OUTPUT)
    saved = compress_old(connection, bench.home, NOW - DAY, Marks(), Turn(60))
    assert saved > len(OUTPUT)
    assert [path.name for path in sorted(run_dir(bench.home, old, 1).path.iterdir())] == ["stderr.gz", "stdout.gz"]
    assert run_dir(bench.home, young, 1).stdout.read_bytes() == OUTPUT
    assert run_dir(bench.home, live, 1).stdout.read_bytes() == OUTPUT


async def test_a_round_goes_on_where_the_last_one_ran_out_of_time(bench: Bench, connection: sqlite3.Connection) -> None:
    jobs = [await bench.ended(days=5 - number / 10, output=OUTPUT) for number in range(6)]
    ticks = iter(range(1_000))
    marks = Marks()
    rounds = 0
    while sum(kept_as(run_dir(bench.home, job, 1).stdout).exists() for job in jobs) < 6:
        compress_old(connection, bench.home, NOW - DAY, marks, Turn(3, clock=lambda: next(ticks)))
        rounds += 1
        assert rounds < 6
    assert rounds > 1
    assert marks.compressed[1] > 0


async def test_run_directories_go_only_with_jobs_that_have_ended(bench: Bench, connection: sqlite3.Connection) -> None:
    old = await bench.ended(days=50, output=OUTPUT)
    young = await bench.ended(days=5, output=OUTPUT)
    bench.now -= 50 * DAY
    live = await bench.submit()
    await bench.start(live)
    bench.now = NOW
    bench.write_run(live, OUTPUT)
    marks = Marks()
    assert remove_old(connection, bench.home, NOW - 30 * DAY, marks, Turn(60)) == 1
    assert not (bench.home / "runs" / str(old)).exists()
    assert run_dir(bench.home, young, 1).stdout.exists()
    assert run_dir(bench.home, live, 1).stdout.exists()
    assert remove_old(connection, bench.home, NOW - 30 * DAY, marks, Turn(60)) == 0


async def test_what_another_database_left_in_a_run_directory_stays(
    bench: Bench, connection: sqlite3.Connection
) -> None:
    job = await bench.ended(days=50, output=OUTPUT)
    aside = bench.home / "runs" / str(job) / "1.aside-1"
    aside.mkdir()
    remove_old(connection, bench.home, NOW, Marks(), Turn(60))
    assert [path.name for path in aside.parent.iterdir()] == ["1.aside-1"]


async def test_a_run_directory_that_is_a_link_is_not_followed(
    bench: Bench, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    job = await bench.ended(days=50)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (bench.home / "runs" / str(job)).mkdir(parents=True)
    (bench.home / "runs" / str(job) / "1").symlink_to(elsewhere)
    assert remove_old(connection, bench.home, NOW, Marks(), Turn(60)) == 0
    assert (elsewhere / "precious").exists()


def test_a_directory_that_may_not_be_written_is_removed_all_the_same(tmp_path: Path) -> None:
    locked = tmp_path / "tree" / "cache"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    locked.chmod(0o500)
    from engine.upkeep.files import remove_tree, size_of

    assert size_of(tmp_path / "tree") == 1
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    remove_tree(tmp_path / "tree")
    assert kept.SUFFIX == ".gz"
