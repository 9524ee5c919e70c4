"""The tap itself: HTTP/1.1 on loopback in, the provider out, and every byte of a body as it came.

A piece goes on before anything in it is read. Own code on h11's grammar: a framework between would buffer and encode
anew what is only to be let through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.clock import now_ms
from engine.tap import reading
from engine.tap.door import Door
from engine.tap.framing import (
    Body,
    FramingError,
    Head,
    HeadReader,
    answer_head,
    body_of_answer,
    body_of_request,
    request_head,
)
from engine.tap.upstream import READ_BYTES, Line, UpstreamError
from engine.tap.usage import READABLE, UsageReader

logger = logging.getLogger(__name__)

LINGER_SECONDS = 2.0  #: for which an agent may go on sending after the last answer
_PHRASES = {404: b"Not Found", 400: b"Bad Request", 426: b"Upgrade Required", 502: b"Bad Gateway", 503: b"Not Ready"}
_CREDENTIALS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")


class Proxy:
    """Serves the doors of all attempts. Everything in it belongs to one loop."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        """`doors`: by token."""
        self._doors = doors
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def serve(self, listener: socket.socket) -> None:
        """Begin to answer on a listening socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self._accept), sock=listener)

    async def close(self) -> None:
        """Answer nothing more, and let go of what is under way."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, side: _Side) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(side))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, side: _Side) -> None:
        """The edge of one connection."""
        try:
            await self._converse(side)
            await _linger(side)
        except (ConnectionError, FramingError) as error:
            logger.debug("the tap: %s", error)
        except Exception:
            logger.exception("the tap lost a connection")
        finally:
            side.writer.close()

    async def _converse(self, side: _Side) -> None:
        """One request after the other, for as long as both sides keep the connection."""
        data: bytes | None = b""
        while data is not None:
            heads = HeadReader(request=True)
            try:
                head = heads.feed(data) if data else None
                while head is None:
                    data = await side.reader.read(READ_BYTES)
                    if not data:
                        return
                    head = heads.feed(data)
            except FramingError as error:
                _say(side.writer, 400, str(error))
                return
            answering = asyncio.ensure_future(self._answer(side, head, heads.rest))
            either: set[asyncio.Future[Any]] = {answering, side.left}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                answering.cancel()  # the agent has hung up, and so do we
                await asyncio.gather(answering, return_exceptions=True)
                return
            data = answering.result()

    async def _answer(self, side: _Side, head: Head, rest: bytes) -> bytes | None:
        """Answer one request. Returns what came behind it; None where the connection ends with it."""
        before, _, rest_of_path = head.target.partition(b"/")
        token, slash, path = rest_of_path.partition(b"/")
        door = self._doors.get(token.decode("latin-1")) if not before else None
        if door is None:
            _say(side.writer, 404, "there is nothing here")
            return None
        if head.get(b"upgrade") is not None:
            _say(side.writer, 426, "the tap reads plain HTTP alone")
            return None
        if door.key is None:
            _say(side.writer, 503, "the account's key has not been looked up yet")
            return None
        door.begin()
        call = _Call(door, side, head)
        try:
            return await call.run(slash + path, rest)
        except UpstreamError as error:
            _say(side.writer, 502, f"{door.upstream.host} cannot be reached: {error}")
            return None
        finally:
            call.end()


class _Call:
    """One request on its way to the provider, and its answer on its way back."""

    def __init__(self, door: Door, side: _Side, head: Head) -> None:
        self._door = door
        self._side = side
        self._head = head
        self._usage: UsageReader | None = None
        self._line: Line | None = None
        self._answered = False

    async def run(self, path: bytes, rest: bytes) -> bytes | None:
        door, head = self._door, self._head
        self._line = line = await door.upstream.line()
        key = door.key or b""
        target = door.upstream.target(path).replace(door.stand_in, key)
        begun = request_head(head, target, door.upstream.authority, _replaced(head, door.stand_in, key))
        sending = asyncio.ensure_future(self._send(body_of_request(head), begun, rest, line))
        try:
            keep = await self._receive(line)
            if not sending.done():
                keep = False  # it was answered before all of it was sent
            left = sending.result() if keep else None
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return left if not head.closes else None

    def end(self) -> None:
        if self._line is not None:
            self._line.drop()  # where it was not given back
        self._door.end(self._usage.finish() if self._usage is not None else None, answered=self._answered)

    async def _send(self, body: Body, head: bytes, data: bytes, line: Line) -> bytes | None:
        """Pass the request on. Returns what came behind it; None where the provider hung up meanwhile."""
        try:
            taken, _ = body.feed(data)
            line.writer.write(head + data[:taken])
            data = data[taken:]
            while not body.done:
                if not data and not (data := await self._side.reader.read(READ_BYTES)):
                    return None
                taken, _ = body.feed(data)
                line.writer.write(data[:taken])
                await line.writer.drain()
                data = data[taken:]
        except ConnectionError:
            return None  # it may have answered before it did
        return data

    async def _receive(self, line: Line) -> bool:
        """Pass the answer on. Returns whether the connection to the agent can serve another request."""
        heads = HeadReader(request=False, method=self._head.method)
        answer = None
        while answer is None:
            try:
                data = await line.reader.read(READ_BYTES)
                answer = heads.feed(data) if data else None
            except (ConnectionError, FramingError) as error:
                raise UpstreamError(str(error) or "the connection broke") from None
            if not data:
                raise UpstreamError("it hung up without an answer")
        body = body_of_answer(answer, self._head.method)
        keep = not self._head.closes and not body.to_the_end
        coding = (answer.get(b"content-encoding") or b"").strip().lower()
        refusal, model = bytearray(), self._door.whose.model or ""
        if answer.status < 400:
            self._usage = UsageReader(answer.get(b"content-type") or b"", coding)
            self._door.see(answer.status, reading.windows(reading.headers_of(answer), now_ms(), model))
        left = await self._pass_on(line, body, answer_head(answer, keep=keep), heads.rest, refusal)
        if answer.status >= 400:
            seen = reading.refused(answer, reading.decoded(bytes(refusal), coding), now_ms(), model)
            self._door.see(seen.status, seen.limits, seen.refusal)
        elif self._usage is not None and self._usage.error:
            broken = reading.broken_off(self._usage.error, now_ms(), model)
            if broken is not None:
                self._door.see(broken.status, broken.limits, broken.refusal)
        self._answered = True
        if not body.to_the_end and not answer.closes and not left:
            self._line = None
            self._door.upstream.keep(line)
        return keep

    async def _pass_on(self, line: Line, body: Body, head: bytes, data: bytes, refusal: bytearray) -> bytes:
        """Pass an answer on to its end, each piece at once. Returns what came behind it."""
        writer = self._side.writer
        if not data:
            writer.write(head)
            head = b""
        while True:
            if data:
                taken, content = body.feed(data)
                writer.write(head + data[:taken] if head else data[:taken])
                head = b""
                for piece in content:
                    if self._usage is not None:
                        self._usage.feed(piece)
                    else:
                        refusal += piece[: reading.ERROR_BYTES - len(refusal)]
                await writer.drain()
                data = data[taken:]
            if body.done:
                return data
            try:
                data = await line.reader.read(READ_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                if not body.to_the_end:
                    writer.transport.abort()  # the agent sees a broken answer, as it would without us
                    raise ConnectionAbortedError("the provider broke an answer off")
                return b""


class _Side(asyncio.StreamReaderProtocol):
    """A connection from an agent, which tells when the agent has hung up."""

    def __init__(self, accept: Callable[[_Side], None]) -> None:
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(limit=READ_BYTES, loop=loop)
        super().__init__(self.reader, loop=loop)
        self.left: asyncio.Future[None] = loop.create_future()
        """Done when it has."""
        self.writer: asyncio.StreamWriter
        self._begin = accept

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        # asyncio sets it itself only on sockets that were made with the protocol's number: without it the second piece
        # of an answer waits 40 ms for the other side to acknowledge the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.writer = asyncio.StreamWriter(transport, self, self.reader, asyncio.get_running_loop())
        self._begin(self)

    def eof_received(self) -> bool | None:
        self._leave()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if not self.left.done():
            self.left.set_result(None)


async def _linger(side: _Side) -> None:
    """Let the agent read what was said: a connection that is closed with something unread in it is torn."""
    if side.left.done() or not side.writer.can_write_eof():
        return
    side.writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await side.reader.read(READ_BYTES):
                pass


def _replaced(head: Head, stand_in: bytes, key: bytes) -> dict[bytes, bytes]:
    """Headers that go on otherwise than they came: with the key, and asking only for what can be read."""
    found = {}
    for name, value in head.headers:
        lower = name.lower()
        if lower in _CREDENTIALS and stand_in in value:
            found[lower] = value.replace(stand_in, key)
        elif lower == b"accept-encoding":
            codings = [one.strip() for one in value.split(b",")]
            found[lower] = b", ".join(c for c in codings if c.partition(b";")[0].strip() in READABLE) or b"identity"
    return found


def _say(writer: asyncio.StreamWriter, status: int, why: str) -> None:
    """Answer for ourselves, and end the connection: what the agent sends still is not read."""
    body = msgspec.json.encode({"error": {"type": "headway_tap", "message": f"Headway's tap: {why}"}})
    writer.write(
        b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n%b\r\n"
        % (status, _PHRASES[status], len(body), b"Retry-After: 2\r\n" if status == 503 else b"")
    )
    writer.write(body)
