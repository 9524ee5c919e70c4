"""What the tap adds to a call: to the first byte, to each piece of a stream, to throughput; beside a plain proxy.

A provider, the tap and the plain proxy (uvicorn, httpx) are processes of their own on loopback; each round takes them
one after the other, so that what else the machine does meets all of them. `busy`: the loop of the tap's process is held
up for 50 ms of every 100, as an engine's may be for a moment: with the tap in a thread of its own as it ships, and, to
see what that is for, on that same loop.

    python -m tests.benchmarks.tap
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from engine.tap.door import Whose
from engine.tap.proxy import Proxy
from engine.tap.tap import Tap

ROUNDS = 5
CALLS = 100  #: of a round, one after the other, to the first byte
PIECES, EVERY_SECONDS = 150, 0.004  #: of a stream, about as fast as a quick model speaks
LARGE = 64 << 20  #: bytes of the answer that throughput is measured with
HOLD_SECONDS = 0.05


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers `/first` with a word, `/stream` with the times at which it sent them, `/large` with much."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            if b"/stream" in head:
                for _ in range(PIECES):
                    await asyncio.sleep(EVERY_SECONDS)
                    writer.write(b"1b\r\ndata: %019d\n\n\r\n" % time.monotonic_ns())
            elif b"/large" in head:
                piece = b"10000\r\n" + b"data: " + b"x" * (65_536 - 8) + b"\n\n" + b"\r\n"
                for _ in range(LARGE >> 16):
                    writer.write(piece)
                    await writer.drain()
            else:
                writer.write(b"8\r\ndata: x\n\r\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()


def provider(tell: Connection, _: str) -> None:
    async def run() -> None:
        server = await asyncio.start_server(provide, "127.0.0.1", 0)
        tell.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()

    asyncio.run(run())


async def hold() -> None:
    """Hold this loop up, half of the time."""
    while True:
        until = time.perf_counter() + HOLD_SECONDS
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(HOLD_SECONDS)


def tapping(tell: Connection, upstream: str, *, busy: bool = False, own_thread: bool = True) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as home:
            tap = Tap(Path(home))
            door = tap.open(Whose(1, 1, "work", "marker"), upstream, "sk-key")
            if own_thread:
                tap.ready()
                url = tap.url(door)
            else:
                listener = socket.create_server(("127.0.0.1", 0))
                await Proxy({door.token: door}).serve(listener)
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/{door.token}"
            tell.send(url)
            await (hold() if busy else asyncio.Event().wait())

    asyncio.run(run())


def tap_quiet(tell: Connection, upstream: str) -> None:
    tapping(tell, upstream)


def tap_busy(tell: Connection, upstream: str) -> None:
    tapping(tell, upstream, busy=True)


def tap_in_loop(tell: Connection, upstream: str) -> None:
    tapping(tell, upstream, busy=True, own_thread=False)


def plain(tell: Connection, upstream: str) -> None:
    """The proxy that one would write with what is there."""
    client = httpx.AsyncClient(trust_env=False, timeout=None)

    async def passed(request: Request) -> StreamingResponse:
        asked = client.build_request(request.method, upstream + request.url.path, content=await request.body())
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for data in answer.aiter_raw():
                yield data
            await answer.aclose()

        kept = {"content-type": answer.headers["content-type"]}
        return StreamingResponse(body(), answer.status_code, kept)

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # so that asyncio sets TCP_NODELAY
    listener.bind(("127.0.0.1", 0))
    tell.send(f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = Starlette(routes=[Route("/{rest:path}", passed, methods=["GET", "POST"])])
    uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off")).run(sockets=[listener])


class Caller:
    """A client on one bare connection, so that it costs next to nothing itself."""

    def __init__(self, url: str) -> None:
        host, _, self._path = url.removeprefix("http://").partition("/")
        self._port = int(host.partition(":")[2])

    async def __aenter__(self) -> Caller:
        self.reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, what: str) -> None:
        path = f"/{self._path}/{what}" if self._path else f"/{what}"
        self._writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await self.reader.readuntil(b"\r\n\r\n")

    async def pieces(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()


async def first_bytes(url: str) -> list[float]:
    """Milliseconds from a request to the first piece of its answer."""
    took = []
    async with Caller(url) as caller:
        for _ in range(CALLS):
            began = time.perf_counter()
            await caller.ask("first")
            first = True
            async for _ in caller.pieces():
                if first:
                    took.append((time.perf_counter() - began) * 1_000)
                first = False
    return took


async def piece_times(url: str) -> list[float]:
    """Milliseconds from the provider's hand to the client's, piece by piece."""
    took: list[float] = []
    async with Caller(url) as caller:
        await caller.ask("stream")
        took += [(time.monotonic_ns() - int(piece[6:])) / 1e6 async for piece in caller.pieces()]
    return took


async def megabytes(url: str) -> float:
    """A second, of one large answer."""
    async with Caller(url) as caller:
        began = time.perf_counter()
        await caller.ask("large")
        async for _ in caller.pieces():
            pass
        return LARGE / (time.perf_counter() - began) / 1e6


async def measure(ways: dict[str, str]) -> None:
    firsts: dict[str, list[float]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, url in ways.items():
            firsts[name] += await first_bytes(url)
            times[name] += await piece_times(url)
            speeds[name].append(await megabytes(url))
    print(f"{'':<26}{'first byte, ms':>29}{'each piece, ms':>29}{'MB/s':>8}")
    print(f"{'':<26}" + 2 * f"{'median':>8}{'p95':>7}{'added':>7}{'ratio':>7}")
    for name in ways:
        cells = f"{name:<26}"
        for told in (firsts, times):
            median, base = statistics.median(told[name]), statistics.median(told["direct"])
            p95 = statistics.quantiles(told[name], n=20)[-1]
            cells += f"{median:>8.2f}{p95:>7.2f}{median - base:>7.2f}{median / base:>7.1f}"
        print(f"{cells}{statistics.median(speeds[name]):>8.0f}")


def main() -> None:
    context = multiprocessing.get_context("spawn")
    started: list[multiprocessing.process.BaseProcess] = []

    def start(what: Callable[[Connection, str], None], upstream: str = "") -> str:
        ours, theirs = context.Pipe()
        process = context.Process(target=what, args=(theirs, upstream), daemon=True)
        process.start()
        started.append(process)
        return str(ours.recv())

    there = start(provider)
    ways = {
        "direct": there,
        "tap": start(tap_quiet, there),
        "tap, engine busy": start(tap_busy, there),
        "same loop, engine busy": start(tap_in_loop, there),
        "uvicorn + httpx": start(plain, there),
    }
    try:
        asyncio.run(measure(ways))
    finally:
        for process in started:
            process.terminate()


if __name__ == "__main__":
    main()
