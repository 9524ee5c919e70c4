"""Those on the network who are slow, loud or large: they are cut off, and everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack

import h11
import pytest

from engine.config import ServerSettings
from engine.engine import Engine
from engine.model import Order, Verb
from engine.model.access import Role
from engine.server import deadlines
from tests.conftest import PATIENCE, shell
from tests.server.network import Raw, head, reached, said

BRIEF = 0.5  #: seconds, in place of deadlines that a test should not wait for


async def _drip(raw: Raw, data: bytes) -> bytes:
    """Say it a byte at a time, until the other end has had enough."""
    reader, writer = raw
    hearing = asyncio.ensure_future(said(reader))
    for number in range(100_000):
        if hearing.done():
            break
        try:
            writer.write(data[number % len(data) : number % len(data) + 1])
            await writer.drain()
        except (ConnectionError, ssl.SSLError):
            break
        await asyncio.sleep(0.02)
    return await hearing


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def make(*names: str) -> None:
        for name in names:
            monkeypatch.setattr(deadlines, name, BRIEF)

    return make


async def test_a_slow_loris_is_cut_off_and_others_are_served(engine: Engine, brief: Callable[..., None]) -> None:
    brief("HEAD_SECONDS", "BODY_SECONDS")
    async with reached(engine, ServerSettings(connections=20)) as there, AsyncExitStack() as stack:
        token = await there.token()
        heads = [await stack.enter_async_context(there.raw()) for _ in range(5)]
        bodies = [await stack.enter_async_context(there.raw()) for _ in range(5)]
        for _, writer in bodies:
            writer.write(head(token, "POST", "/v1/jobs", "Content-Length: 100000"))
        # One that said a whole request, was answered, and takes its time with the next.
        second = await stack.enter_async_context(there.raw())
        second[1].write(head(token, "GET", "/v1/caps"))
        async with asyncio.timeout(PATIENCE):
            assert (await second[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        attack = [
            *(asyncio.ensure_future(_drip(raw, b"GET /v1/status HTTP/1.1\r\nX-Y: ")) for raw in (*heads, second)),
            *(asyncio.ensure_future(_drip(raw, b" ")) for raw in bodies),
        ]
        async with there.client(token) as client:
            served = 0
            while not all(one.done() for one in attack):
                assert await client.jobs() == []
                served += 1
                await asyncio.sleep(0.05)
        assert served > 1
        assert not [one for one in await asyncio.gather(*attack) if b"HTTP/1.1 2" in one]
        assert await engine.list_jobs("", 10) == []


async def test_who_never_begins_holds_no_place(engine: Engine, brief: Callable[..., None]) -> None:
    brief("HEAD_SECONDS")
    async with reached(engine, ServerSettings(connections=3)) as there:
        token = await there.token()
        silent = [await asyncio.open_connection("127.0.0.1", there.port) for _ in range(3)]
        fourth, writer = await asyncio.open_connection("127.0.0.1", there.port)
        async with asyncio.timeout(PATIENCE):
            assert await said(fourth) == b""  # its address has no place left, and it is not even heard
            for reader, _ in silent:
                assert await said(reader) == b""
        # Half a handshake is none.
        half = await asyncio.open_connection("127.0.0.1", there.port)
        half[1].write(b"\x16\x03\x01\x02")
        assert b"HTTP" not in await said(half[0])
        async with there.client(token) as client:
            assert await client.jobs() == []
        for one in (writer, half[1], *(w for _, w in silent)):
            one.close()


async def test_a_body_that_keeps_coming_is_waited_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(deadlines, "BODY_RATE", 1)
    async with reached(engine) as there, there.raw() as (reader, writer):
        body = b'{"jobs": [{"prompt": "true", "agent": "shell"}]}' + b" " * 100
        writer.write(head(await there.token(), "POST", "/v1/jobs", f"Content-Length: {len(body)}", "Connection: close"))
        for at in range(0, len(body), 10):
            writer.write(body[at : at + 10])
            await writer.drain()
            await asyncio.sleep(0.05)
        assert (await said(reader)).startswith(b"HTTP/1.1 201")


async def test_what_is_too_large_is_refused_unread(engine: Engine, brief: Callable[..., None]) -> None:
    brief("REST_SECONDS")
    async with reached(engine, ServerSettings(body="64K")) as there:
        token = await there.token()
        for lines in ("Content-Length: 1073741824", "Content-Length: 99999999999999999999"), ("Content-Length: 65537",):
            async with there.raw() as (reader, writer):
                writer.write(head(token, "POST", "/v1/jobs", lines[0]) + b"[")
                heard = await said(reader)  # it was answered, and then cut off, with nothing more said
                assert heard.startswith(b"HTTP/1.1 413") and b'"too_large"' in heard
        # Without a length: as soon as it is too much.
        async with there.raw() as (reader, writer):
            writer.write(head(token, "POST", "/v1/jobs", "Transfer-Encoding: chunked"))
            hearing = asyncio.ensure_future(said(reader))
            sent = 0
            while not hearing.done() and sent < 1 << 30:
                try:
                    writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
                    await writer.drain()
                except (ConnectionError, ssl.SSLError):
                    break
                sent += 0x4000
            heard = await hearing
            assert heard.startswith(b"HTTP/1.1 413") and sent < 1 << 30
        # Nobody without a token is read at all.
        async with there.raw() as (reader, writer):
            writer.write(head("hwt_wrong", "POST", "/v1/jobs", "Content-Length: 1073741824") + b"[" * 100)
            assert (await said(reader)).startswith(b"HTTP/1.1 401")
        found = await engine.audit.lines(0, None, 100)
        assert [one.status for one in found] == [413, 413, 413, 401]


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that were read, each time that some were: between two of them the loop has a turn."""
    sizes: list[int] = []
    usual = h11.Connection.receive_data

    def receive(connection: h11.Connection, data: bytes) -> None:
        if connection.our_role is h11.SERVER:
            sizes.append(len(data))
        usual(connection, data)

    monkeypatch.setattr(h11.Connection, "receive_data", receive)
    return sizes


CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"1\r\n \r\n" * 50_000  #: each costs as much as one of thousands of bytes would


async def test_of_who_shows_no_token_a_piece_is_read_and_one_request(engine: Engine, pieces: list[int]) -> None:
    async with reached(engine) as there:
        async with there.raw() as (reader, writer):
            writer.write(head("hwt_wrong", "POST", "/v1/jobs", CHUNKED) + CHUNKS)
            assert (await said(reader)).startswith(b"HTTP/1.1 401")
        assert sum(pieces) < len(CHUNKS) / 10 and max(pieces) <= 2048
        for path, status in ("/v1/status", b"HTTP/1.1 401"), ("/healthz", b"HTTP/1.1 200"):
            async with there.raw() as (reader, writer):
                writer.write(head("hwt_wrong", path=path) * 20)
                heard = await said(reader)
                assert heard.startswith(status) and heard.count(b"HTTP/1.1 ") == 1, heard


async def test_who_says_all_of_a_large_body_first_hears_why_it_was_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "REST_SECONDS", 10.0)  # it is taken in a moment, or not at all
    async with reached(engine) as there:
        context = ssl.create_default_context(cafile=there.certificate)

        def say_and_hear() -> bytes:
            with (
                socket.create_connection(("127.0.0.1", there.port), PATIENCE) as line,
                context.wrap_socket(line, server_hostname="localhost") as speaking,
            ):
                speaking.sendall(head("hwt_wrong", "POST", "/v1/jobs", CHUNKED) + CHUNKS)
                speaking.sendall(b"%x\r\n%s\r\n" % (24 << 20, b" " * (24 << 20)))  # more than lies in the kernel
                return speaking.recv(100)

        assert (await asyncio.to_thread(say_and_hear)).startswith(b"HTTP/1.1 401")


async def test_a_body_in_many_small_chunks_is_read_in_turns_with_others(engine: Engine, pieces: list[int]) -> None:
    async with reached(engine) as there:
        body = b'{"jobs": [{"prompt": "true", "agent": "shell"}]}'
        whole = b"%x\r\n%s\r\n" % (len(body), body) + CHUNKS + b"0\r\n\r\n"
        once = head(await there.token(), "POST", "/v1/jobs", CHUNKED) + whole
        async with there.raw() as (reader, writer):
            # A second request that does not wait for the first one's answer is read after it.
            writer.write(once + head(await there.token(Role.VIEWER), "GET", "/v1/jobs", "Connection: close"))
            heard = await said(reader)
        assert heard.startswith(b"HTTP/1.1 201") and heard.count(b"HTTP/1.1 200") == 1, heard
        assert max(pieces) <= 2048 and max(pieces[5:]) <= 1024


async def test_large_bodies_of_many_do_not_add_up(engine: Engine) -> None:
    async with reached(engine, ServerSettings(body="64K", connections=20)) as there, AsyncExitStack() as stack:
        token = await there.token()
        large = b"[" + b" " * 60_000
        held = [await stack.enter_async_context(there.raw()) for _ in range(2)]
        for _, writer in held:
            writer.write(head(token, "POST", "/v1/jobs", "Content-Length: 65000") + large)
            await writer.drain()
        async with asyncio.timeout(PATIENCE):
            while there.guard._reading < 2 * len(large):
                await asyncio.sleep(0)
        async with there.raw() as (reader, writer):
            writer.write(head(token, "POST", "/v1/jobs", "Content-Length: 60001", "Connection: close") + large)
            heard = await said(reader)
            assert heard.startswith(b"HTTP/1.1 429") and b"too many large requests" in heard
        for _, writer in held:
            writer.transport.abort()
        async with asyncio.timeout(PATIENCE):
            while there.guard._reading:
                await asyncio.sleep(0)
        async with there.client(token) as client:
            assert await client.submit([shell(" " * 60_000 + "true")]) == [1]


async def test_a_reader_that_does_not_read_is_cut_off_and_slows_nobody(
    engine: Engine, brief: Callable[..., None]
) -> None:
    brief("STALLED_SECONDS")
    async with reached(engine) as there:
        deaf, token = await there.token(Role.VIEWER), await there.token()
        await engine.act(Order(verb=Verb.HOLD, scope="all"), "test")
        async with there.raw(4096) as (_, writer), there.client(token) as client, asyncio.timeout(PATIENCE):
            writer.write(head(deaf, "GET", "/v1/events?follow=1&after=0"))
            while not engine.hub.subscribers:
                await asyncio.sleep(0)
            # Of the flood that comes now it takes nothing.
            while engine.hub.subscribers:
                await client.submit([shell("true", title="x" * 80) for _ in range(200)])
            # Another reader hears all of it.
            seen = 0
            async for event in client.follow(0):
                seen = max(seen, getattr(event, "seq", 0))
                if seen == engine.hub.seq:
                    break


async def test_many_streams_of_a_token_leave_room_for_others(engine: Engine) -> None:
    async with reached(engine, ServerSettings(connections=4)) as there, AsyncExitStack() as stack:
        many = await there.token(Role.VIEWER)
        for _ in range(3):
            _, writer = await stack.enter_async_context(there.raw())
            writer.write(head(many, "GET", "/v1/events?follow=1"))
        async with asyncio.timeout(PATIENCE):
            while engine.hub.subscribers < 3:
                await asyncio.sleep(0)
        async with there.client(await there.token()) as client:
            await client.act(Verb.HOLD, everything=True)
            assert (await client.status()).held_all is not None
