"""The event stream over one engine: what its subscribers are told, to the end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.events import Event
from engine.model import Order, Progress, Verb
from engine.server import streams
from engine.submission import Wanted
from tests.conftest import PATIENCE, shell


async def test_what_happened_until_the_engine_ends_is_told(engine: Engine) -> None:
    await engine.act(Order(verb=Verb.HOLD, scope="all"), "tester")
    stream = streams.events(engine, engine.hub.seq, progress=True)
    async with asyncio.timeout(PATIENCE):
        first = asyncio.create_task(anext(stream))
        while not engine.hub.subscribers:
            await asyncio.sleep(0)
        await engine.submit(Wanted([shell("true", title="before")]))
        assert b'"before"' in await first
        # The subscriber takes breath; meanwhile more happens, and the engine is asked to end.
        await engine.submit(Wanted([shell("true", title="meanwhile")]))
        engine.hub.close()
        rest = b"".join([frames async for frames in stream])
    assert b'"meanwhile"' in rest
    assert engine.hub.subscribers == 0


async def test_progress_alone_asks_nothing_of_the_database(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    events = engine.store.read.events

    async def counted(after: int) -> list[Event]:
        asked.append(after)
        return await events(after)

    monkeypatch.setattr(engine.store.read, "events", counted)
    monkeypatch.setattr(streams, "BREATH_SECONDS", 0)
    stream = streams.events(engine, engine.hub.seq, progress=True)
    async with asyncio.timeout(PATIENCE):
        for count in range(5):
            line = f"line {count}"
            engine.hub.report(1, lambda line=line: Progress(job=1, attempt=1, line=line))  # type: ignore[misc]
            assert line.encode() in await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert asked == []


async def test_output_of_a_running_attempt_asks_nothing_of_the_database(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line for line: that it has not ended is known from that it is followed."""
    os.mkfifo(tmp_path / "go")
    go = os.open(tmp_path / "go", os.O_RDWR)
    prompt = f"exec 3<{tmp_path}/go; echo 0; for n in 1 2 3; do read x <&3; echo $n; done; read x <&3"
    (job,) = (await engine.submit(Wanted([shell(prompt)]))).ids
    stream = streams.log(engine, job, None, 0, None, follow=True)
    async with asyncio.timeout(PATIENCE):
        assert b'"text":"0"' in await anext(stream)
        (attempt,) = await engine.store.read.attempts(job)
        while not engine.follower.follows(attempt.id):
            await asyncio.sleep(0)
        with monkeypatch.context() as patched:
            patched.setattr(engine, "has_ended", None)
            for number in (b"1", b"2", b"3"):
                os.write(go, b"now\n")
                assert b'"text":"' + number in await anext(stream)
        os.write(go, b"now\n")
        assert [told async for told in stream if b"data" in told] == []
    os.close(go)


async def test_output_is_told_from_when_it_is_followed_on(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that came between the start and that waited for the next event, of which there may be none for hours."""
    os.mkfifo(tmp_path / "go")
    go = os.open(tmp_path / "go", os.O_RDWR)
    adding: list[Callable[[], None]] = []
    follower = engine.follower
    add = follower.add
    monkeypatch.setattr(follower, "add", lambda *given, **named: adding.append(partial(add, *given, **named)))
    prompt = f"exec 3<{tmp_path}/go; echo one; read x <&3; echo two; read x <&3"
    (job,) = (await engine.submit(Wanted([shell(prompt)]))).ids
    printed = engine.home / "runs" / str(job) / "1" / "stdout"
    stream = streams.log(engine, job, None, 0, None, follow=True)
    async with asyncio.timeout(PATIENCE):
        while not adding or not printed.read_bytes():
            await asyncio.sleep(0)
        assert b"one" in await anext(stream)
        told = asyncio.ensure_future(anext(stream))
        while not follower._waiting:  # it has read all that there is
            await asyncio.sleep(0)
        os.write(go, b"now\n")
        adding[0]()
        assert b"two" in await told
    await stream.aclose()  # type: ignore[attr-defined]
    os.write(go, b"now\n")
    os.close(go)
    assert follower._waiting == {}
