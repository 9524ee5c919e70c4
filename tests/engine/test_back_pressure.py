"""A disk that stalls and readers that do not read: what is followed and stored goes on, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from engine.config import Settings
from engine.engine import Engine
from engine.errors import StorageError
from engine.events import Event, Submitted
from engine.home import SOCKET
from engine.hub import Hub
from engine.model import ALL, JobSpec, Order, Progress, State, Verb
from engine.runner import clerk
from engine.server import streams
from engine.server.client import Client
from engine.server.wire import Frames
from engine.serving import serving
from engine.store import schema
from engine.store.store import FILE
from engine.submission import Wanted
from tests.conftest import PATIENCE, Served, ended, shell
from tests.waiting import NEVER

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def stalled(home: Path) -> Iterator[None]:
    """Nobody can write the database: another process holds it. Closed in this one, it would lose the engine's locks."""
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(home / FILE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            other.stdin.close()


async def shows(engine: Engine, job: int, line: str) -> None:
    """Wait until a running job is seen to say it."""
    async with asyncio.timeout(PATIENCE):
        version = 0
        while True:
            version, found = engine.hub.progress_after(version)
            if any(one.job == job and one.line == line for one in found):
                return
            await engine.hub.changed(NEVER, version)


async def log_of(engine: Engine) -> list[Event]:
    return await engine.store.read.events(0, 10_000)


@pytest.mark.parametrize("outlasts", [False, True], ids=["waited for", "given up"])
async def test_a_disk_that_stalls_stops_no_following_and_loses_nothing(
    home: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outlasts: bool
) -> None:
    """Once within the time that a write waits for it, and once beyond."""
    if outlasts:
        monkeypatch.setattr(schema, "BUSY_MS", 20)
    monkeypatch.setattr(clerk, "STORAGE_RETRY_SECONDS", 0.02)
    monkeypatch.setattr("engine.dispatch.dispatcher.STORAGE_RETRY_SECONDS", 0.02)
    os.mkfifo(tmp_path / "said")
    said = os.open(tmp_path / "said", os.O_RDWR)
    async with serving(home, settings) as engine:
        (job,) = (await engine.submit(Wanted([shell(f"exec 3<{tmp_path}/said; while read x <&3; do [ $x = end ] && "
                                                   "exit; echo $x; done")]))).ids  # fmt: skip
        os.write(said, b"begun\n")
        await shows(engine, job, "begun")
        with stalled(home):
            for number in range(20):
                os.write(said, b"%d\n" % number)
                await shows(engine, job, str(number))
            if outlasts:
                with pytest.raises(StorageError):
                    await engine.submit(Wanted([shell("true", title="refused")]))
            os.write(said, b"end\n")
            waiting = asyncio.ensure_future(_submitted(engine, again=outlasts))
            while engine.follower.follows((await engine.store.read.attempts(job))[0].id):
                await asyncio.sleep(0)
            assert not waiting.done()
            assert (await engine.row(job)).state is State.RUNNING, "its end is not written yet"
        other = await asyncio.wait_for(waiting, PATIENCE)
        await ended(engine, [job, other])
        log = await log_of(engine)
        attempts = await engine.store.read.attempts(job)
    os.close(said)
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    kinds = [type(event.body).__name__ for event in log if event.job == job]
    assert kinds == ["Submitted", "Claimed", "Launched", "Succeeded"]
    assert len(attempts) == 1
    assert [event.body.title for event in log if isinstance(event.body, Submitted) and event.job != job] == ["waits"]


async def _submitted(engine: Engine, *, again: bool) -> int:
    while True:
        try:
            return (await engine.submit(Wanted([shell("true", title="waits")]))).ids[0]
        except StorageError:
            assert again, "a write waits longer than that"


async def test_a_reader_that_does_not_read_is_one_line_an_attempt_to_the_engine(engine: Engine) -> None:
    """However much they say meanwhile. When it comes back it has the newest of each, and all of the log."""
    begun = engine.hub.seq
    await engine.act(Order(verb=Verb.HOLD, scope=ALL), "tester")
    stream = streams.events(engine, begun, progress=True)
    async with asyncio.timeout(PATIENCE):
        frames = Frames()
        told = list(frames.feed(await anext(stream)))
        for number in range(20_000):
            _say(engine.hub, number % 10, str(number))
        await engine.submit(Wanted([shell("true", title=f"number {one}") for one in range(1_200)]))
        assert len(engine.hub._moved) == 10
        while sum(name == "event" for name, _ in told) < engine.hub.seq - begun:
            told += frames.feed(await anext(stream))
    await stream.aclose()  # type: ignore[attr-defined]
    lines = [msgspec.json.decode(data, type=Progress).line for name, data in told if name == "progress"]
    assert lines == [str(number) for number in range(19_990, 20_000)]


def _say(hub: Hub, attempt: int, line: str) -> None:
    hub.report(attempt, lambda: Progress(job=0, attempt=attempt, line=line))


async def test_a_line_that_nobody_reads_from_holds_up_nobody_and_loses_no_event(served: Served) -> None:
    served.start()
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.settimeout(PATIENCE)
        stuck.connect(str(served.home / SOCKET))
        stuck.sendall(b"GET /v1/events?follow=1&progress=1&after=0 HTTP/1.1\r\nHost: headway\r\n\r\n")
        async with asyncio.timeout(PATIENCE), Client(served.home) as client:
            for number in range(10):  # 2 MB of log, of which the line takes a few hundred kB
                specs = [JobSpec(prompt=f"{number} " + "x" * 2_000, agent="shell", not_before="1d")] * 100
                await client.submit(specs)
            newest = (await client.status()).seq
            seen: list[int] = []
            async for told in client.follow(0):
                if isinstance(told, Event):
                    seen.append(told.seq)
                if seen and seen[-1] >= newest:
                    break
        assert seen == list(range(1, newest + 1)), "the other reader has it all meanwhile"
        late, rest = 0, b""
        while late < newest:
            data = await asyncio.to_thread(stuck.recv, 1 << 16)
            assert data, "the engine has hung up"
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.startswith(b"id: "):
                    assert int(line[4:]) == late + 1
                    late += 1
