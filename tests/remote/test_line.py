"""An engine elsewhere, by a stand-in for ssh: everything crosses, and a lost line comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from console.launch import start_engine
from engine.errors import NoEngineError, NotFoundError
from engine.model import JobSpec
from engine.remote import line as lines
from engine.remote.line import FarClient, far_client
from engine.remote.place import Place, read_place
from engine.server.client import Client
from tests.forked import forks
from tests.remote.conftest import StandIn
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with an engine, for all tests of this file."""
    home = tmp_path_factory.mktemp("far") / "home"
    engine = start_engine(home)
    yield home
    engine.terminate()
    engine.wait()


@pytest.fixture
def place(ssh: StandIn, served: Path) -> Place:
    return replace(read_place("ssh://ops@hal"), home=str(served))


@pytest.fixture
async def far(place: Place) -> AsyncIterator[FarClient]:
    async with far_client(place) as client:
        yield client


async def test_calls_and_streams_cross_at_once(far: FarClient, ssh: StandIn) -> None:
    seq = (await far.status()).seq
    async with aclosing(far.follow(seq)) as happenings, aclosing(far.follow(seq)) as others:
        ids = await far.submit([JobSpec(prompt="printf done", agent="shell") for _ in range(3)])
        seen = {(await anext(happenings)).job for _ in ids}  # type: ignore[union-attr]
        assert seen == set(ids) and (await anext(others)).job == ids[0]  # type: ignore[union-attr]
    with pytest.raises(NotFoundError):
        await far.job(10**6)
    rows = await asyncio.gather(*(far.rows(ids) for _ in range(30)))
    assert all([job.id for job in row] == ids for row in rows)
    assert ssh.calls == ["ops@hal"], "all of it went over one ssh"


async def test_a_long_answer_does_not_keep_a_short_one_waiting(far: FarClient) -> None:
    size = 4 << 20
    (job,) = await far.submit([JobSpec(prompt=f"head -c {size} /dev/zero | tr '\\0' x", agent="shell")])
    async with aclosing(far.log(job, follow=True)) as told:
        async for _ in told:
            pass
    output = far.output(job)
    async with aclosing(output):
        got = len(await anext(output))
        assert got < size, "all of it was here at once"
        await far.status()  # while nobody reads the long one, which stands in the stream
        got += sum([len(piece) async for piece in output])
    assert got == size


async def test_what_crosses_is_little_more_than_the_data(far: FarClient, served: Path) -> None:
    await far.status()
    before = sum(far.line.crossed)
    for _ in range(20):
        await far.status()
    crossed = sum(far.line.crossed) - before
    async with Client(served) as near:
        body = len(await near.call("GET", "/v1/status"))
    assert crossed / 20 < body + 450, "heads and frames of a call"


async def test_an_open_line_on_which_nothing_happens_says_nothing(far: FarClient) -> None:
    async with aclosing(far.follow((await far.status()).seq)) as happenings:
        waiting = asyncio.create_task(anext(happenings))
        await asyncio.sleep(0)
        await far.status()
        before = far.line.crossed
        done, _ = await asyncio.wait({waiting}, timeout=1.0)
        assert not done and far.line.crossed == before
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_lost_line_is_said_and_comes_back(
    far: FarClient, ssh: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PAUSES", (0.0,))
    seq = (await far.status()).seq
    with pytest.raises(NoEngineError, match="hal"):
        async with aclosing(far.follow(seq)) as happenings:
            ssh.refuse(True)
            os.kill(ssh.pid, signal.SIGKILL)
            await anext(happenings)
    with pytest.raises(NoEngineError, match=r"ops@hal: .*Connection refused"):
        await _until_refused(far)
    ssh.refuse(False)
    (job,) = await _until_answered(far)
    async with aclosing(far.follow(seq)) as happenings:
        assert (await anext(happenings)).job == job  # type: ignore[union-attr]


async def _until_refused(far: FarClient) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await far.status()
            except NoEngineError as error:
                if "refused" in error.message:
                    raise


async def _until_answered(far: FarClient) -> list[int]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await far.submit([JobSpec(prompt="true", agent="shell")])
            except NoEngineError:
                await asyncio.sleep(0.05)


async def test_while_it_is_lost_ssh_is_not_started_for_every_call(
    far: FarClient, ssh: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PAUSES", (60.0,))
    ssh.refuse(True)
    os.kill(ssh.pid, signal.SIGKILL)
    for _ in range(10):
        with pytest.raises(NoEngineError):
            await far.status()
    assert len(ssh.calls) <= 2


async def test_a_shell_that_speaks_first_is_not_in_the_way(place: Place, ssh: StandIn) -> None:
    ssh.write("echo Welcome to hal; printf 'a last word without an end'; ")
    async with far_client(place) as far:
        assert (await far.status()).counts is not None


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ("echo 'sh: headway: not found' >&2; exit 127; ", r"ops@hal: sh: headway: not found; where .*headway=PATH"),
        ("echo 'ops@hal: Permission denied (publickey).' >&2; exit 255; ", "log in to it with ssh once"),
        ("exit 3; ", "ops@hal: ssh ended with exit code 3"),
    ],
)
async def test_why_ssh_did_not_get_there_is_said(place: Place, ssh: StandIn, noise: str, said: str) -> None:
    ssh.write(noise)
    with pytest.raises(NoEngineError, match=said):
        async with far_client(place):
            pass


async def test_a_home_without_an_engine_says_so_and_is_served_when_asked(ssh: StandIn, tmp_path: Path) -> None:
    elsewhere = replace(read_place("ssh://hal"), home=str(tmp_path / "empty"))
    async with far_client(elsewhere) as far:
        with pytest.raises(NoEngineError, match=r"no engine serves .*empty there"):
            await far.status()
    async with far_client(elsewhere, start=True) as far:
        status = await far.status()
        await far.shutdown()
    assert status.pid > 0


def test_the_commands_take_an_address_as_a_home(place: Place, served: Path) -> None:
    def headway(*words: str) -> subprocess.CompletedProcess[str]:
        return forks().run(["--home", str(place), *words], timeout=PATIENCE, env=os.environ)

    done = headway("submit", "--agent", "shell", "--scratch", "true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in headway("jobs", "--json").stdout
    refused = headway("backup", "x.tar")
    assert refused.returncode == 2 and "run it there: ssh ops@hal" in refused.stderr
    away = headway("attach", "ssh://ops:secret@hal")
    assert away.returncode == 2 and "secret" not in away.stderr
    wrong = subprocess.run(
        [sys.executable, "-m", "console.cli", "--home", str(served), "proxy"],
        capture_output=True,
        input=b"GET / HTTP/1.1\r\n",
    )
    assert wrong.returncode == 1 and b"another language" in wrong.stderr
