"""Following output files: every line once and whole, in whatever pieces it comes, and 500 files from one task."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from engine.runner import follow
from engine.runner.follow import Follower, Lines, Tail

PATIENCE = 30.0  #: seconds after which something that was waited for will not come

_DATA = st.lists(st.sampled_from([b"\n", b"a", b"bcd", b"\r", b"\xe2\x80\xa8", b"\x00", b"efghijklmnop"]), max_size=40)
_CUTS = st.lists(st.integers(0, 400), max_size=12)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


def lines_of(data: bytes, limit: int, start: int) -> list[tuple[bytes, int]]:
    """Each line, cut at the limit, with the offset behind its newline, or behind the end for an unfinished one."""
    told, at = [], start
    for line in data.split(b"\n"):
        at += len(line) + 1
        told.append((line[:limit], at))
    last, _ = told.pop()
    return [*told, (last, start + len(data))] if last else told


@given(_DATA.map(b"".join), _CUTS, st.integers(0, 1 << 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"efghijklmnop" * 3 + b"\nab\n", [5, 20], 7)
def test_any_chunking_gives_the_same_lines_and_offsets(
    monkeypatch: pytest.MonkeyPatch, data: bytes, cuts: list[int], start: int
) -> None:
    monkeypatch.setattr(follow, "LINE_BYTES", 10)
    wanted = lines_of(data, 10, start)
    for chunks in (pieces(data, cuts), [data], [data[at : at + 1] for at in range(len(data))]):
        lines = Lines(start)
        found = [line for chunk in chunks for line in lines.feed(chunk)]
        assert found + lines.rest() == wanted


def test_a_line_without_end_is_held_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LINE_BYTES", 1_000)
    lines = Lines()
    for _ in range(10_000):
        assert lines.feed(b"x" * 100) == []
        assert len(lines._part) <= 1_000
    ((line, behind),) = lines.feed(b"\n")
    assert (line, behind) == (b"x" * 1_000, 1_000_001)
    assert lines.feed(b"next\n") == [(b"next", 1_000_006)]


def test_reading_from_an_offset_goes_on_there() -> None:
    data = b"one\ntwo\nthree\n"
    ((_, behind), *_) = Lines().feed(data)
    assert Lines(behind).feed(data[behind:]) == [(b"two", 8), (b"three", 14)]


# A file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stdout"


async def waiting_for(follower: Follower, *attempts: int) -> list[asyncio.Task[None]]:
    """Tasks that wait already."""
    tasks = [asyncio.ensure_future(follower.grown(attempt)) for attempt in attempts]
    await asyncio.sleep(0)
    return tasks


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as out:
        out.write(data)


def test_a_tail_reads_what_is_new_and_at_most_what_it_may(file: Path) -> None:
    seen: list[bytes] = []
    tail = Tail(file, seen.extend)
    assert tail.read(100) == 0, "there is no file yet"
    append(file, b"one\ntw")
    assert (tail.read(100), seen) == (6, [b"one"])
    assert tail.read(100) == 0
    append(file, b"o\nthree\n")
    assert (tail.read(4), seen) == (4, [b"one", b"two"])
    assert (tail.read(100), seen) == (4, [b"one", b"two", b"three"])
    tail.close()
    tail.close()


def test_a_file_that_shrinks_or_vanishes_does_no_harm(file: Path) -> None:
    seen: list[bytes] = []
    tail = Tail(file, seen.extend)
    append(file, b"one\ntwo\n")
    tail.read(100)
    os.truncate(file, 2)
    assert tail.read(100) == 0
    file.unlink()
    assert tail.read(100) == 0
    assert seen == [b"one", b"two"]
    tail.close()


# Many files


@pytest.fixture
async def follower(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Follower]:
    monkeypatch.setattr(follow, "QUIET_SECONDS", 0.002)
    monkeypatch.setattr(follow, "TICK_SECONDS", 0.001)
    one = Follower()
    task = asyncio.create_task(one.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_file_that_appears_later_is_read_and_its_last_line_at_the_end(follower: Follower, file: Path) -> None:
    seen: list[bytes] = []
    follower.add(1, file, seen.extend)
    (grown,) = await waiting_for(follower, 1)
    append(file, b"one\nunfinished")
    async with asyncio.timeout(PATIENCE):
        await grown
    assert seen == [b"one"]
    append(file, b" line\nlast")
    await follower.finish(1)
    assert seen == [b"one", b"unfinished line", b"last"]
    assert not follower.follows(1)


async def test_a_file_that_never_came_is_finished_too(follower: Follower, file: Path) -> None:
    seen: list[bytes] = []
    follower.add(1, file, seen.extend)
    await follower.finish(1)
    assert seen == []


async def test_everything_is_read_before_it_is_finished(follower: Follower, file: Path) -> None:
    seen: list[bytes] = []
    append(file, b"".join(b"%06d\n" % n for n in range(200_000)))
    follower.add(1, file, seen.extend)
    await follower.finish(1)
    assert seen == [b"%06d" % n for n in range(200_000)]


async def test_five_hundred_files_take_no_thread_and_lose_no_line(follower: Follower, tmp_path: Path) -> None:
    threads = threading.active_count()
    seen: dict[int, list[bytes]] = {n: [] for n in range(500)}
    for n in range(500):
        follower.add(n, tmp_path / str(n), seen[n].extend)
    for wave in range(3):
        waiting = await waiting_for(follower, *range(500))
        for n in range(500):
            append(tmp_path / str(n), b"%d-%d\n" % (n, wave))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*waiting)
    assert threading.active_count() <= threads
    assert seen == {n: [b"%d-%d" % (n, wave) for wave in range(3)] for n in range(500)}
    for n in range(500):
        await follower.finish(n)


async def test_a_flood_in_one_file_does_not_starve_another(
    follower: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "READ_BYTES", 64)
    flood: list[bytes] = []
    other: list[bytes] = []
    append(tmp_path / "flood", b"x" * 63 + b"\n" + b"y\n" * 100_000)
    append(tmp_path / "other", b"hello\n")
    follower.add(1, tmp_path / "flood", flood.extend)
    follower.add(2, tmp_path / "other", other.extend)
    async with asyncio.timeout(PATIENCE):
        await follower.grown(2)
    assert other == [b"hello"]
    assert len(flood) < 1_000


async def test_all_who_wait_are_told_of_growth_and_of_the_end(follower: Follower, file: Path) -> None:
    follower.add(1, file, lambda lines: None)
    waiting = await waiting_for(follower, 1, 1, 1, 1, 1)
    append(file, b"x\n")
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*waiting)
        waiting = await waiting_for(follower, 1, 1, 1, 1, 1)
        await follower.finish(1)
        await asyncio.gather(*waiting)


async def test_who_gave_up_waiting_is_not_remembered(follower: Follower, file: Path) -> None:
    follower.add(1, file, lambda lines: None)
    for _ in range(20):
        (waiting,) = await waiting_for(follower, 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert not any(follower._waiting.values())


async def test_a_stopped_follower_closes_its_files_and_wakes_who_waits(tmp_path: Path) -> None:
    one = Follower()
    task = asyncio.create_task(one.run())
    append(tmp_path / "a", b"x\n")
    one.add(1, tmp_path / "a", lambda lines: None)
    async with asyncio.timeout(PATIENCE):
        await one.grown(1)
        (waiting,) = await waiting_for(one, 1)
        before = len(os.listdir("/proc/self/fd"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await waiting
    assert len(os.listdir("/proc/self/fd")) == before - 1
    await one.finish(1)  # an attempt that was still being stopped when the engine ended
    assert not one.follows(1)


async def test_a_file_that_is_finished_while_others_are_read_is_not_opened_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each of them would have cost the engine a descriptor for ever."""
    monkeypatch.setattr(follow, "TURN_SECONDS", -1.0)  # others have their turn after each file
    monkeypatch.setattr(follow, "TICK_SECONDS", 0.001)
    paths = [tmp_path / str(number) for number in range(20)]
    for path in paths:
        append(path, b"one\n")
    one = Follower()
    finishing: list[asyncio.Task[None]] = []

    def sink(lines: list[bytes]) -> None:
        if not finishing:  # the last of them, while the round goes over the first
            finishing.append(asyncio.ensure_future(one.finish(len(paths) - 1)))

    for number, path in enumerate(paths):
        one.add(number, path, sink)
    last = one._tails[len(paths) - 1]
    task = asyncio.create_task(one.run())
    (grown,) = await waiting_for(one, len(paths) - 2)
    async with asyncio.timeout(PATIENCE):
        await grown
        await finishing[0]
        append(paths[0], b"two\n")
        (grown,) = await waiting_for(one, 0)
        await grown  # another round
    assert last.fd is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
