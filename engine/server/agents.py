"""The socket of the agents' tools. Nothing else can be called here, so that a sandbox may let an agent have it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import msgspec

from engine.engine import Engine
from engine.foreign import NOT_JSON
from engine.home import AGENTS
from engine.mcp.desk import Desk
from engine.mcp.wire import Frame, Reply
from engine.plain import plain_line
from engine.server.caller import at_socket
from engine.server.listening import listening

logger = logging.getLogger(__name__)

LINE_BYTES = 512 << 10  #: of one frame: what a shim sends is far below it
FRAMES = 64  #: of one connection that are being answered; more are not read


@contextlib.asynccontextmanager
async def serving_agents(engine: Engine) -> AsyncIterator[None]:
    """Take the calls of agents until left."""
    lines: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served in a task"
        lines.add(task)
        try:
            if at_socket(writer.get_extra_info("socket")) is not None:
                await _Line(engine.tools, reader, writer).run()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            lines.discard(task)
            writer.close()

    with listening(engine.home, AGENTS) as listener:
        listener.setblocking(False)
        server = await asyncio.start_unix_server(serve, sock=listener, limit=LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            for task in tuple(lines):
                task.cancel()
            await asyncio.gather(*lines, return_exceptions=True)


class _Line:
    """The connection of one shim. What it waits for ends with it: a shim that comes back asks again."""

    def __init__(self, desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._desk = desk
        self._reader = reader
        self._writer = writer
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(FRAMES)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            try:
                while (frame := await self._next()) is not None:
                    if frame.cancel:
                        await self._cancel(frame)
                        continue
                    await self._room.acquire()
                    task = tasks.create_task(self._answer(frame), name=f"call-{frame.call[:40]}")
                    self._calls[frame.call] = task
                    task.add_done_callback(lambda _: self._room.release())
            finally:
                for task in self._calls.values():
                    task.cancel()

    async def _next(self) -> Frame | None:
        """The next frame; None where the shim is gone, or is none."""
        try:
            line = await self._reader.readline()
        except ValueError:
            logger.warning("a frame of an agent's call is longer than %d bytes", LINE_BYTES)
            return None
        if not line.endswith(b"\n"):
            return None
        try:
            return msgspec.json.decode(line, type=Frame)
        except NOT_JSON as error:
            logger.warning("what came on the agents' socket is no call: %s", plain_line(str(error)))
            return None

    async def _answer(self, frame: Frame) -> None:
        answer = await self._desk.call(frame.token, frame.call, frame.tool, frame.arguments)
        self._calls.pop(frame.call, None)
        await self._reply(Reply(frame.call, answer.ok, answer.text))

    async def _reply(self, reply: Reply) -> None:
        self._writer.write(msgspec.json.encode(reply) + b"\n")
        await self._writer.drain()

    async def _cancel(self, frame: Frame) -> None:
        if (task := self._calls.pop(frame.call, None)) is not None:
            task.cancel()
        await self._desk.cancel(frame.token, frame.call, frame.tool, frame.arguments)
        await self._reply(Reply(frame.call, True, "withdrawn"))
