"""The two streams of the API: the engine's log, and the output of one attempt. Both resume where a reader left off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from engine.agents.base import Parser
from engine.agents.events import LogLine, Output
from engine.engine import Engine
from engine.errors import NotStartedError
from engine.events import Event
from engine.hub import NO_PROGRESS
from engine.model import Progress
from engine.redact import REACH, Masker, Secrets
from engine.runner.follow import Lines
from engine.runner.run_dir import RunDir
from engine.server.wire import KEEP_ALIVE, frame
from engine.upkeep.kept import go_to, last_bytes, opened, pieces

KEEP_ALIVE_SECONDS = 15.0  #: of silence, after which a comment finds out whether the reader is still there
BREATH_SECONDS = 0.1  #: between two answers to one subscriber: what happens meanwhile goes into the next
#: More of it for each attempt that was reported: of 500 that speak all the time a subscriber hears five times a second,
#: and is not told more than it can read.
REPORT_SECONDS = 0.0002
TAIL_BYTES = 1 << 20  #: how far back a tail looks for its lines
STDERR_BYTES = 1 << 16  #: of standard error that is shown after the output


async def events(
    engine: Engine, after: int, *, progress: bool, seen: Callable[[Sequence[Event]], Sequence[Event]] = tuple
) -> AsyncIterator[bytes]:
    """The log after a sequence number and then live, as server-sent events, with progress in between.

    `seen`: events as who reads may see them.

    When the engine ends, what happened until then is told first.
    """
    hub = engine.hub
    version = 0
    hub.subscribers += 1
    try:
        while True:
            closing = hub.closing.is_set()
            found = await engine.store.read.events(after) if closing or hub.seq > after else []
            told = b"".join(map(frame, seen(found)))
            after = found[-1].seq if found else after
            reports: list[Progress] = []
            if progress and not closing:
                version, reports = hub.progress_after(version)
                told += engine.secrets.out_of_bytes(b"".join(map(frame, reports)))
            if told:
                yield told
                if not closing:
                    await asyncio.sleep(BREATH_SECONDS + REPORT_SECONDS * len(reports))
            elif closing:
                return
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
        tried, run = await engine.attempt_files(job, number)
    except NotStartedError:
        return  # it was cancelled before it started
    start = after if after is not None else await asyncio.to_thread(_start_of_tail, run.stdout, tail)
    attempt, offset = tried.id, start
    # Nothing is counted here: whether it was resumed only matters to sums.
    lines, parser = Lines(start), engine.agents[tried.agent].parser(model=tried.model)
    while True:
        seq = engine.hub.seq
        ended = not engine.follower.follows(attempt) and await engine.has_ended(job, attempt)
        with opened(run.stdout) as file:
            if file is not None:
                await go_to(file, offset)
                for data in pieces(file):
                    offset += len(data)
                    if told := b"".join(_tell(parser, attempt, line, behind) for line, behind in lines.feed(data)):
                        yield engine.secrets.out_of_bytes(told)
        if not follow or ended or engine.hub.closing.is_set():
            break
        if not await _within(_more(engine, attempt, seq)):
            yield KEEP_ALIVE
    if ended:
        rest = [_tell(parser, attempt, line, behind) for line, behind in lines.rest()]
        errors = await asyncio.to_thread(_errors, run)
        rest += [frame(LogLine(attempt, "stderr", offset, Output(text))) for text in errors]
        yield engine.secrets.out_of_bytes(b"".join(rest))


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
        return
    # It is not followed any more, and its end is an event; or not yet, and then there is none.
    waits = [
        asyncio.ensure_future(engine.follower.grown(attempt)),
        asyncio.ensure_future(engine.hub.changed(seq, NO_PROGRESS)),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()


def _tell(parser: Parser, attempt: int, line: bytes, behind: int) -> bytes:
    """The events of one line. All but the last carry the line's start: who resumes sees some twice, and none lost."""
    found = parser.line(line)
    start = behind - len(line) - 1
    return b"".join(
        frame(LogLine(attempt, "stdout", behind if event is found[-1] else max(0, start), event)) for event in found
    )


async def content(path: Path, secrets: Secrets) -> AsyncIterator[bytes]:
    """A file as it is now, which may still grow; nothing where there is none. Secrets are covered, byte for byte."""
    masker, held, start = Masker(secrets.spans), bytearray(), 0
    with opened(path) as file:
        for data in pieces(file) if file is not None else ():
            held += data
            for at, one in masker.take(data):
                held[max(0, at - start) : at - start + len(one)] = one[max(0, start - at) :]
            ready = max(0, len(held) - REACH)
            if ready:
                yield bytes(held[:ready])
                del held[:ready]
                start += ready
    yield bytes(held)


def _start_of_tail(path: Path, count: int | None) -> int:
    """The offset at which the last `count` lines begin; 0 for all of them."""
    if count is None:
        return 0
    data, begin = last_bytes(path, TAIL_BYTES)
    at = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(count):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return begin if begin == 0 else begin + data.find(b"\n") + 1
    return begin + at + 1


def _errors(run: RunDir) -> list[str]:
    return last_bytes(run.stderr, STDERR_BYTES)[0].decode(errors="replace").splitlines()
