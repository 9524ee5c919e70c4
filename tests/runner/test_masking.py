"""A file that its own writer fills: secrets are covered in it, and in no file that it is not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from engine.redact import Secrets
from engine.runner.follow import Follower
from engine.runner.masking import MaskedFile, mask

KEY = f"ghp_{'c3D4' * 9}"


@pytest.fixture
def secrets() -> Secrets:
    one = Secrets()
    one.learn(["known-value-of-a-test"])
    return one


def test_a_writer_goes_on_appending_to_what_is_covered(tmp_path: Path, secrets: Secrets) -> None:
    path = tmp_path / "stdout"
    file = MaskedFile(path, secrets)
    assert file.catch_up() == 0
    with path.open("ab", buffering=0) as writer:
        writer.write(f"one {KEY}\n".encode())
        assert file.catch_up() > 0
        assert path.read_bytes() == b"one [key]" + b"*" * (len(KEY) - 5) + b"\n"
        writer.write(b"two known-value-")
        file.catch_up()
        writer.write(b"of-a-test three\n")
        file.catch_up()
    assert file.catch_up() == 0
    file.close()
    assert path.read_bytes().splitlines()[1] == b"two [key]**************** three"


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_that_an_agent_put_there_leads_nowhere(kind: str, tmp_path: Path, secrets: Secrets) -> None:
    other, path = tmp_path / "theirs", tmp_path / "stdout"
    other.write_text(f"mine: {KEY}\n")
    if kind == "symbolic":
        path.symlink_to(other)
    else:
        os.link(other, path)
    mask(path, secrets)
    assert other.read_text() == f"mine: {KEY}\n"


async def test_the_follower_covers_what_it_has_read_and_what_it_jumped_over(tmp_path: Path, secrets: Secrets) -> None:
    out, err = tmp_path / "stdout", tmp_path / "stderr"
    out.write_text("\n".join([KEY, *["x" * 99] * 3_000, "last known-value-of-a-test"]))
    err.write_text(f"error: {KEY}")
    seen: list[bytes] = []
    follower = Follower()
    following = asyncio.create_task(follower.run())
    for newest_only in (False, True):
        follower.add(
            1, out, seen.extend, newest_only=newest_only, masks=[MaskedFile(one, secrets) for one in (out, err)]
        )
        await follower.finish(1)
        assert KEY not in out.read_text() + err.read_text()
        assert out.read_text().endswith("last [key]" + "*" * 16)
        assert seen[-1].startswith(b"last ")
        out.write_text("\n".join([KEY, *["x" * 99] * 3_000, "last known-value-of-a-test"]))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
