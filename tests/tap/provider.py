"""A provider on loopback whose every byte the test writes, and a tap in front of it in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from engine.tap.door import Door, Whose
from engine.tap.proxy import Proxy

KEY = "sk-the-real-key-0123456789"


@dataclass(slots=True)
class Asked:
    """One request as the provider got it, and the connection to answer on."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    def answer(self, body: bytes, *, status: str = "200 OK", more: str = "") -> None:
        self.say(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)


Script = Callable[[Asked], Awaitable[None]]


@dataclass(slots=True)
class Provider:
    script: Script
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked = Asked(head, b"", reader, writer)
                if length := asked.headers.get("content-length"):
                    asked.body = await reader.readexactly(int(length))
                self.asked.append(asked)
                await self.script(asked)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def provider(script: Script) -> AsyncIterator[Provider]:
    one = Provider(script)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, limit=1 << 24)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()


@dataclass(slots=True)
class Tapped:
    """A door, the address of its tap, and plain connections to it."""

    door: Door
    port: int
    path: str

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)

    def request(self, path: str = "/v1/messages", body: bytes = b"{}", more: str = "", method: str = "POST") -> bytes:
        head = f"{method} {self.path}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        return f"{head}x-api-key: {self.door.stand_in.decode()}\r\n{more}\r\n".encode() + body


@contextlib.asynccontextmanager
async def tapped(upstream: str, *, key: str | None = KEY) -> AsyncIterator[Tapped]:
    door = Door(Whose(1, 1, "work", "marker"), "token", "headway-stand-in-0123", upstream, key)
    proxy = Proxy({door.token: door})
    listener = socket.create_server(("127.0.0.1", 0))
    await proxy.serve(listener)
    try:
        yield Tapped(door, listener.getsockname()[1], f"/{door.token}")
    finally:
        door.upstream.close()
        await proxy.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A head, and a body whose length it says."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    return head, await reader.readexactly(length)
