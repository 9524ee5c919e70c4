"""The two streams of the API: the engine's log, and the output of one attempt. Both resume where a reader left off."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

from engine.agents.base import Parser
from engine.agents.events import LogLine, Output
from engine.engine import Engine
from engine.errors import NotStartedError
from engine.runner.follow import Lines
from engine.runner.run_dir import RunDir, open_regular, read_regular
from engine.server.wire import KEEP_ALIVE, frame

KEEP_ALIVE_SECONDS = 15.0  #: of silence, after which a comment finds out whether the reader is still there
READ_BYTES = 1 << 16
BREATH_SECONDS = 0.1  #: between two answers to one subscriber: what happens meanwhile goes into the next
NO_PROGRESS = 1 << 62  #: a version that no progress is newer than: wait for events only
TAIL_BYTES = 1 << 20  #: how far back a tail looks for its lines
STDERR_BYTES = 1 << 16  #: of standard error that is shown after the output


async def events(engine: Engine, after: int, *, progress: bool) -> AsyncIterator[bytes]:
    """The log after a sequence number and then live, as server-sent events, with progress in between."""
    hub = engine.hub
    version = 0
    hub.subscribers += 1
    try:
        while not hub.closing.is_set():
            found = await engine.store.read.events(after)
            frames = [frame(event) for event in found]
            after = found[-1].seq if found else after
            if progress:
                version, reports = hub.progress_after(version)
                frames += [frame(report) for report in reports]
            if frames:
                yield b"".join(frames)
                await asyncio.sleep(BREATH_SECONDS)
            elif not await _within(hub.changed(after, version if progress else NO_PROGRESS)):
                yield KEEP_ALIVE
    finally:
        hub.subscribers -= 1


async def _within(something: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
            await something
    except TimeoutError:
        return False
    return True


async def log(
    engine: Engine, job: int, number: int | None, after: int | None, tail: int | None, *, follow: bool
) -> AsyncIterator[bytes]:
    """The output of one attempt as typed events, from a byte offset or from its last lines on.

    With `follow` it waits for the attempt to start, and ends when the attempt has ended and all is told.
    """
    if follow:
        async for silence in _until_started(engine, job):
            yield silence
    try:
        attempt, agent, run = await engine.attempt_files(job, number)
    except NotStartedError:
        return  # it was cancelled before it started
    start = after if after is not None else _start_of_tail(run.stdout, tail)
    lines, parser, offset = Lines(start), engine.agents[agent].parser(), start
    while True:
        seq = engine.hub.seq
        ended = await engine.has_ended(job, attempt)
        for data in _pieces(run.stdout, offset):
            offset += len(data)
            if told := b"".join(_tell(parser, attempt, line, behind) for line, behind in lines.feed(data)):
                yield told
        if not follow or ended or engine.hub.closing.is_set():
            break
        if not await _within(_more(engine, attempt, seq)):
            yield KEEP_ALIVE
    if ended:
        rest = [_tell(parser, attempt, line, behind) for line, behind in lines.rest()]
        rest += [frame(LogLine(attempt, "stderr", offset, Output(text))) for text in _errors(run)]
        yield b"".join(rest)


async def _until_started(engine: Engine, job: int) -> AsyncIterator[bytes]:
    """Wait for a job's first attempt, or for its end without one."""
    while not engine.hub.closing.is_set():
        seq = engine.hub.seq
        row = await engine.row(job)
        if row.attempts or row.ended_at is not None:
            return
        if not await _within(engine.hub.changed(seq, NO_PROGRESS)):
            yield KEEP_ALIVE


async def _more(engine: Engine, attempt: int, seq: int) -> None:
    """Return when an attempt's output may have grown, or something has happened since `seq`."""
    if engine.follower.follows(attempt):
        await engine.follower.grown(attempt)
    else:
        await engine.hub.changed(seq, NO_PROGRESS)


def _tell(parser: Parser, attempt: int, line: bytes, behind: int) -> bytes:
    """The events of one line. All but the last carry the line's start: who resumes sees some twice, and none lost."""
    found = parser.line(line)
    start = behind - len(line) - 1
    return b"".join(
        frame(LogLine(attempt, "stdout", behind if event is found[-1] else max(0, start), event)) for event in found
    )


async def content(path: Path) -> AsyncIterator[bytes]:
    """A file as it is now, which may still grow; nothing where there is none."""
    for data in _pieces(path, 0):
        yield data


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    """What a file has from an offset on, piece by piece."""
    fd = open_regular(path)
    if fd is None:
        return
    with os.fdopen(fd, "rb") as file:
        file.seek(offset)
        while data := file.read(READ_BYTES):
            yield data


def _start_of_tail(path: Path, count: int | None) -> int:
    """The offset at which the last `count` lines begin; 0 for all of them."""
    if count is None:
        return 0
    data = read_regular(path, -TAIL_BYTES) or b""
    begin = max(0, path.stat().st_size - len(data)) if data else 0
    at = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(count):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return begin if begin == 0 else begin + data.find(b"\n") + 1
    return begin + at + 1


def _errors(run: RunDir) -> list[str]:
    return (read_regular(run.stderr, -STDERR_BYTES) or b"").decode(errors="replace").splitlines()
