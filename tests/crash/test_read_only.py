"""A home on a file system that turned read-only: everything says so in a line, and what can still be read is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.server.client import Client
from tests.conftest import Served, shell


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", str(place)]
    if (done := subprocess.run(mount, capture_output=True)).returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode(errors='replace').strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def home(disk: Path) -> Path:
    return disk / "home"


def read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


async def test_a_read_only_home_can_still_be_saved(served: Served, disk: Path, tmp_path: Path) -> None:
    served.start()
    async with Client(served.home) as client:
        (job,) = await client.submit([shell("echo hi")])
    await served.until_ended([job])
    served.stop()
    served.process = None
    read_only(disk)

    copy = tmp_path / "copy.db"
    assert served.headway("backup", str(copy)).stdout == f"{copy}\n"
    assert served.headway("export").stdout.startswith('{"job":{"id":1,')
    again = Served(tmp_path / "again")
    assert again.headway("restore", str(copy)).stdout.startswith("restored 1 job into")

    for command in (("serve",), ("prune",), ("backup",), ("restore", str(copy))):
        done = served.headway(*command)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), (command, done.stderr)
        assert str(served.home) in done.stderr
        assert "cannot be" in done.stderr
    found = served.headway("doctor", "--deep")
    assert found.returncode == 1
    assert "cannot be written" in found.stdout
    assert "1 jobs are as the log tells them" in found.stdout
    assert "move" not in found.stdout, "there is nothing wrong with the database"
