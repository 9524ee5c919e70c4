"""The promise: a full disk loses nothing and is named as what it is, and with room again the engine goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import events as log
from engine.errors import StorageError
from engine.model import State
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, settings_file, shell

pytestmark = pytest.mark.long

SIZE = "24m"
LONG = "true #" + "x" * 1_000_000  #: needs more room than the journal may still have


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, so small that a test can fill it."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "none", str(place)], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode(errors='replace').strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def home(disk: Path) -> Path:
    return disk / "home"


def fill(disk: Path) -> Path:
    """Use up all of the disk, to the last byte."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return filler


async def launched(served: Served, job: int) -> None:
    await served.until(lambda event: event.job == job and isinstance(event.body, log.Launched))


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not check():
            await asyncio.sleep(0.02)


async def test_a_running_job_is_settled_once_there_is_room_again(served: Served, disk: Path, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 1\n")
    pid = served.start()
    gate, through = tmp_path / "gate", tmp_path / "through"
    os.mkfifo(gate)
    async with Client(served.home) as client:
        (running,) = await client.submit([shell(f"read line <{gate}; echo through >{through}")])
    await launched(served, running)
    filler = fill(disk)

    async with Client(served.home) as client:
        with pytest.raises(StorageError) as refused:
            await client.submit([shell(LONG)])
    assert refused.value.message == (
        f"the disk that holds {served.home / 'headway.db'} is full: nothing was written; free some space and try again"
    )
    jobs = served.json("jobs")
    assert isinstance(jobs, list)
    assert [(job["id"], job["state"]) for job in jobs] == [(running, "running")], "reading goes on"

    gate.write_text("go on\n")
    await until(through.exists)
    fill(disk)
    filler.unlink()

    await served.until_ended([running])
    async with Client(served.home) as client:
        ended = (await client.job(running)).job
        assert (ended.state, ended.attempts) == (State.SUCCEEDED, 1)
        (new,) = await client.submit([shell("echo there is room again")])
        await served.until_ended([new])
        assert (await client.job(new)).job.state is State.SUCCEEDED
    assert served.process is not None
    assert (served.process.poll(), served.process.pid) == (None, pid), "without a restart"
    assert "2 jobs are as the log tells them" in served.headway("doctor", "--deep").stdout


async def test_a_job_that_cannot_start_for_want_of_room_starts_later(served: Served, disk: Path) -> None:
    settings_file(served.home, "grace: 1\n")
    served.start()
    served.headway("hold", "--all")
    async with Client(served.home) as client:
        (waiting,) = await client.submit([shell("echo started after all")])
        filler = fill(disk)
        served.headway("release", "--all")
        filler.unlink()
        served.headway("release", "--all")
    await served.until_ended([waiting])
    async with Client(served.home) as client:
        assert (await client.job(waiting)).job.state is State.SUCCEEDED


def test_an_engine_that_finds_no_room_says_so_and_starts_when_there_is(served: Served, disk: Path) -> None:
    served.start()
    served.stop()
    filler = fill(disk)
    refused = 0
    # With each page that is free it comes a little further: to its lock, its journal, its first event.
    while (done := served.headway("serve", "--idle-exit", "0")).returncode != 0:
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert f"the disk that holds {served.home}" in done.stderr
        assert "is full" in done.stderr
        refused += 1
        os.truncate(filler, filler.stat().st_size - 3 * 4096)
    assert refused > 1
    filler.unlink()
    served.start()


async def test_prune_and_backup_say_so_too_and_leave_everything(served: Served, disk: Path) -> None:
    served.start()
    async with Client(served.home) as client:
        (job,) = await client.submit([shell("seq 100000")])
    await served.until_ended([job])
    filler = fill(disk)
    full = served.headway("backup", str(disk / "copy.db"))
    assert (full.returncode, full.stdout) == (1, ""), full.stderr
    assert len(full.stderr.splitlines()) == 1
    assert "is full" in full.stderr or "No space left" in full.stderr
    filler.unlink()
    assert sorted(path.name for path in disk.iterdir()) == ["home"], "no half of a backup stays"
    assert served.headway("backup", str(disk / "copy.db")).returncode == 0
