"""The far end of the line: standard input and output, and behind them the engine of a home on this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from engine import __version__
from engine.errors import NoEngineError
from engine.home import SOCKET
from engine.remote.trunk import Stream, Trunk
from engine.server.listening import short_path

#: Stands before the greeting: what a login shell prints of its own comes first, and is skipped.
GREETING = b"\x00headway-proxy/1 "


class Greeting(Struct, frozen=True):
    """The first line of the far end."""

    version: str
    home: str


async def proxy(home: Path) -> None:
    """Carry conversations between standard input and output and the engine of a home, until the input ends."""

    async def connect() -> Stream:
        try:
            with short_path(home, SOCKET) as path:
                return await asyncio.open_unix_connection(path)
        except OSError:
            raise NoEngineError(f"no engine serves {home} there; `headway serve` starts one") from None

    stream = await _standard()
    hello = GREETING + msgspec.json.encode(Greeting(__version__, os.fsdecode(home))) + b"\n"
    stream[1].write(hello)
    await Trunk(stream, connect).run()


async def _standard() -> Stream:
    loop = asyncio.get_running_loop()
    heard, said = (os.fdopen(os.dup(number), mode, 0) for number, mode in ((0, "rb"), (1, "wb")))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), heard)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, said)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
