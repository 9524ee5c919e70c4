"""Who reads beside: a console's link, a slow one, and a bare follower that does what cannot be left out. Programs.

python -m tests.benchmarks.fleet.readers console HOME FILE JOB...
python -m tests.benchmarks.fleet.readers slow HOME
python -m tests.benchmarks.fleet.readers bare HOME
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from engine.agents.events import Text as Words
from engine.agents.events import Thinking, ToolCall, ToolResult
from engine.home import SOCKET
from engine.model import Progress
from engine.server.client import Client
from tests.benchmarks.fleet.script import STAMP

SLOW_BYTES, SLOW_SECONDS = 2_048, 0.25  #: what the slow one takes, and how often
BARE_SECONDS = 0.05  #: between the looks of the bare one, as the engine's follower has it


class Seen(msgspec.Struct):
    """What a console's link has seen."""

    progress: list[tuple[int, int, int]]
    """Time, job, and the number of the line that it shows."""
    lines: list[tuple[int, int, int]]
    """The same of what is told of single jobs, each line for itself."""
    calls: dict[int, int]
    """Calls of tools, as the newest progress counts them, by job."""
    seqs: list[int]
    """Of the log's events."""


async def console(home: Path, file: Path, jobs: list[int]) -> None:
    """As the console is attached: its one subscription, and the output of the jobs that are in sight."""
    seen = Seen([], [], {}, [])
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with Client(home) as client:
        tasks = [asyncio.create_task(_log(client, job, seen)) for job in jobs]
        tasks.append(asyncio.create_task(_follow(client, seen)))
        print("ready", flush=True)
        await over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    file.write_bytes(msgspec.msgpack.encode(seen))


async def _follow(client: Client, seen: Seen) -> None:
    async for told in client.follow():
        if isinstance(told, Progress):
            if (found := STAMP.search(told.line)) is not None:
                seen.progress.append((time.monotonic_ns(), told.job, int(found[1])))
            seen.calls[told.job] = told.tool_calls
        else:
            seen.seqs.append(told.seq)


async def _log(client: Client, job: int, seen: Seen) -> None:
    async for line in client.log(job, follow=True):
        match line.event:
            case Words(text=text) | Thinking(text=text) | ToolCall(summary=text) | ToolResult(output=text):
                if (found := STAMP.search(text)) is not None:
                    seen.lines.append((time.monotonic_ns(), job, int(found[1])))
            case _:
                pass


def slow(home: Path) -> None:
    """Asks for all that a console asks for, and takes far less than comes."""
    with socket.socket(socket.AF_UNIX) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.connect(str(home / SOCKET))
        line.sendall(b"GET /v1/events?follow=1&progress=1 HTTP/1.1\r\nHost: headway\r\n\r\n")
        print("ready", flush=True)
        while line.recv(SLOW_BYTES):
            time.sleep(SLOW_SECONDS)


def bare(home: Path) -> None:
    """Reads what all agents print and decodes each line, at the engine's pace, and does nothing with it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = [os.open(path, os.O_RDONLY) for path in home.glob("runs/*/*/stdout")]
    offsets = [0] * len(files)
    decode = msgspec.json.Decoder().decode
    print("ready", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for number, fd in enumerate(files):
                data = os.pread(fd, 1 << 16, offsets[number])
                whole = data[: data.rfind(b"\n") + 1]
                offsets[number] += len(whole)
                for line in whole.splitlines():
                    decode(line)
            time.sleep(BARE_SECONDS)


def main() -> None:
    what, home, *rest = sys.argv[1:]
    if what == "console":
        asyncio.run(console(Path(home), Path(rest[0]), list(map(int, rest[1:]))))
    elif what == "slow":
        slow(Path(home))
    else:
        bare(Path(home))


if __name__ == "__main__":
    main()
