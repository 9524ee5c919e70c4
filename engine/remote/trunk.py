"""One stream with conversations in it: what both ends of the line do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from engine.errors import HeadwayError
from engine.remote.frames import DATA_MOST, WINDOW, Frame, Frames, Kind, room

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

SILENCE_SECONDS = 15.0  #: after which the far end is asked whether it is there; an open event stream says so by itself
ASKED_MOST = 2  #: times in a row without an answer, after which the line counts as lost
FORSAKEN_SECONDS = 900.0  #: of silence after which the far end goes by itself: a console may be suspended for a while
_READ = 64 << 10


class Channel:
    """One conversation in the stream."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        """What is to be passed on; None at its end."""
        self.task: asyncio.Task[None] | None = None
        self._room = WINDOW
        self._more = asyncio.Event()

    def give(self, size: int) -> None:
        self._room += size
        self._more.set()

    async def take(self, most: int) -> int:
        """Wait until something may be sent; how much of `most`."""
        while self._room <= 0:
            self._more.clear()
            await self._more.wait()
        taken = min(most, self._room)
        self._room -= taken
        return taken


class Trunk:
    """`run` it for as long as the stream lasts. With a way to an engine it is the far end, which answers."""

    def __init__(self, stream: Stream, connect: Callable[[], Awaitable[Stream]] | None = None) -> None:
        self._reader, self._writer = stream
        self._connect = connect
        self._channels: dict[int, Channel] = {}
        self._next = 1
        self._over = False
        self.refusal = ""
        """Why the far end refused the newest conversation; nothing where it did not."""
        self.read = self.written = 0
        """Bytes of the stream so far, in each direction."""

    @property
    def over(self) -> bool:
        """Nothing crosses it any more."""
        return self._over

    async def run(self) -> None:
        """Carry frames until the stream ends. Raises `HeadwayError` where the other end is silent, or talks rubbish."""
        frames = Frames()
        try:
            while data := await self._heard():
                self.read += len(data)
                for frame in frames.feed(data):
                    await self._take(frame)
        finally:
            self._over = True
            tasks = [channel.task for channel in self._channels.values() if channel.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer.close()

    async def _heard(self) -> bytes:
        """The next bytes; nothing at the end of the stream."""
        if self._connect is not None:
            try:
                async with asyncio.timeout(FORSAKEN_SECONDS):
                    return await self._reader.read(_READ)
            except TimeoutError:
                return b""
        for _ in range(ASKED_MOST + 1):
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    return await self._reader.read(_READ)
            except TimeoutError:
                await self._send(Frame(Kind.PING))
        raise HeadwayError(f"nothing was heard for {SILENCE_SECONDS * (ASKED_MOST + 1):.0f} s")

    async def _take(self, frame: Frame) -> None:
        channel = self._channels.get(frame.channel)
        if frame.kind is Kind.PING:
            await self._send(Frame(Kind.PONG))
        elif frame.kind is Kind.OPEN and channel is None and self._connect is not None:
            self._begin(frame.channel, self._answer)
        elif channel is None:
            return  # of a conversation that is over here
        elif frame.kind is Kind.ROOM:
            channel.give(frame.room)
        elif frame.kind is Kind.DATA:
            channel.arrived.put_nowait(frame.data)
        elif frame.kind is Kind.END:
            channel.arrived.put_nowait(None)
        elif frame.kind is Kind.ABORT and channel.task is not None:
            self.refusal = frame.data.decode(errors="replace")
            channel.task.cancel()

    def _begin(self, number: int, call: Callable[[Channel], Coroutine[Any, Any, None]]) -> None:
        channel = self._channels[number] = Channel(number)
        channel.task = asyncio.create_task(call(channel))
        channel.task.add_done_callback(lambda _: self._channels.pop(number, None))

    async def _send(self, frame: Frame) -> None:
        data = frame.encoded()
        self.written += len(data)
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):  # `run` sees the end of the stream too
            await self._writer.drain()

    async def _answer(self, channel: Channel) -> None:
        assert self._connect is not None
        try:
            stream = await self._connect()
        except HeadwayError as error:
            await self._send(Frame(Kind.ABORT, channel.number, error.message.encode()[:DATA_MOST]))
        else:
            await self._relay(channel, stream)

    def carry(self, stream: Stream) -> None:
        """Carry a connection that was made here to the engine of the far end."""
        if self._over:
            stream[1].close()
            return

        async def opened(channel: Channel) -> None:
            self.refusal = ""
            await self._send(Frame(Kind.OPEN, channel.number))
            await self._relay(channel, stream)

        self._begin(self._next, opened)
        task = self._channels[self._next].task
        assert task is not None
        task.add_done_callback(lambda _: stream[1].close())  # also where it was cancelled before it began
        self._next += 1

    async def _relay(self, channel: Channel, stream: Stream) -> None:
        reader, writer = stream
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up(channel, reader))
                both.create_task(self._down(channel, writer))
        except* OSError:
            await self._send(Frame(Kind.ABORT, channel.number))
        finally:
            writer.close()

    async def _up(self, channel: Channel, reader: asyncio.StreamReader) -> None:
        """What the connection says, into the stream."""
        while data := await reader.read(DATA_MOST):
            while data:
                size = await channel.take(len(data))
                await self._send(Frame(Kind.DATA, channel.number, data[:size]))
                data = data[size:]
        await self._send(Frame(Kind.END, channel.number))

    async def _down(self, channel: Channel, writer: asyncio.StreamWriter) -> None:
        """What comes out of the stream, to the connection."""
        while (data := await channel.arrived.get()) is not None:
            writer.write(data)
            await writer.drain()
            await self._send(room(channel.number, len(data)))
        writer.write_eof()
