"""The socket of the agents' tools. Nothing else can be called here, so that a sandbox may let an agent have it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec

from engine.engine import Engine
from engine.foreign import NOT_JSON
from engine.home import AGENTS
from engine.mcp.desk import STRANGER, Desk
from engine.mcp.pace import Pace
from engine.mcp.wire import Frame, Reply
from engine.plain import plain_line
from engine.server.guests import Guest, receiving

LINE_BYTES = 512 << 10  #: of one frame: what a shim sends is far below it
FRAMES = 64  #: of one connection that are being answered; more are not read
FRAMES_A_MINUTE = 1_200  #: of one connection that are read at least; more if an attempt may call oftener
MOST_OF_ONE = 32  #: connections of an attempt: each of its agents' processes has one


@contextlib.asynccontextmanager
async def serving_agents(engine: Engine) -> AsyncIterator[None]:
    """Take the calls of agents until left."""

    async def serve(guest: Guest) -> None:
        await _Line(engine.tools, guest, max(FRAMES_A_MINUTE, 2 * engine.settings.mcp.calls)).run()

    async with receiving(engine.home, AGENTS, LINE_BYTES, MOST_OF_ONE, serve):
        yield


class _Line:
    """The connection of one shim. What it waits for ends with it: a shim that comes back asks again."""

    def __init__(self, desk: Desk, guest: Guest, pace: int) -> None:
        self._desk = desk
        self._guest = guest
        self._pace = Pace.of(pace, time.monotonic())
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(FRAMES)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            try:
                while (frame := await self._next()) is not None:
                    if (attempt := self._desk.attempt_of(frame.token)) is None:
                        self._guest.warn(
                            f"a call of {plain_line(frame.tool, 40)} with a capability that is good for nothing"
                        )
                        await self._reply(Reply(frame.call, False, STRANGER))
                        break
                    if not self._guest.is_of(f"attempt {attempt}"):
                        break
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
        # At least one turn of the loop: what has come already is read without one.
        await asyncio.sleep(self._pace.take(time.monotonic()))
        try:
            line = await self._guest.reader.readline()
        except ValueError:
            self._guest.warn(f"a frame of an agent's call is longer than {LINE_BYTES} bytes")
            return None
        if not line.endswith(b"\n"):
            return None
        try:
            return msgspec.json.decode(line, type=Frame)
        except NOT_JSON as error:
            self._guest.warn(f"what came on the agents' socket is no call: {plain_line(str(error))}")
            return None

    async def _answer(self, frame: Frame) -> None:
        answer = await self._desk.call(frame.token, frame.call, frame.tool, frame.arguments)
        self._calls.pop(frame.call, None)
        await self._reply(Reply(frame.call, answer.ok, answer.text))

    async def _reply(self, reply: Reply) -> None:
        self._guest.writer.write(msgspec.json.encode(reply) + b"\n")
        await self._guest.writer.drain()

    async def _cancel(self, frame: Frame) -> None:
        if (task := self._calls.pop(frame.call, None)) is not None:
            task.cancel()
        await self._desk.cancel(frame.token, frame.call, frame.tool, frame.arguments)
        await self._reply(Reply(frame.call, True, "withdrawn"))
