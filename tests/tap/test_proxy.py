"""The tap between real sockets: what goes in comes out, at once, and only for whom it is meant."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import os
import socket
import ssl

import httpx
import pytest

from engine.model import Failure
from engine.tap import upstream as upstreams
from engine.tap.proxy import Proxy, _Side
from engine.tap.reading import Refusal, Seen
from tests.conftest import PATIENCE
from tests.tap.provider import KEY, Asked, provider, read_answer, tapped

SSE = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def echo(asked: Asked) -> None:
    asked.answer(asked.body)


async def test_a_request_and_its_answer_are_the_same_as_without() -> None:
    """But for the key, the address, and what is between neighbours alone."""
    body = os.urandom(300_000)

    async def script(asked: Asked) -> None:
        asked.answer(
            gzip.compress(body), more="X-Odd: a:b\r\nContent-Encoding: gzip\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        )

    async with provider(script) as there, tapped(f"{there.url}/base") as here:
        reader, writer = await here.connect()
        sent = os.urandom(200_000)
        writer.write(
            here.request("/v1/x?a=1&b=%20", sent, "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: Wert\r\n")
        )
        head, got = await read_answer(reader)
        writer.close()
    asked = there.asked[0]
    assert asked.head.startswith(b"POST /base/v1/x?a=1&b=%20 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert asked.body == sent
    assert (asked.headers["x-api-key"], asked.headers["x-kept"]) == (KEY, "Wert")
    assert "x-hop" not in asked.headers
    assert b"X-Odd: a:b\r\n" in head
    assert head.count(b"Set-Cookie") == 2
    assert gzip.decompress(got) == body


async def test_a_stream_arrives_piece_by_piece_as_the_provider_sends_it() -> None:
    go = asyncio.Queue[bytes]()

    async def script(asked: Asked) -> None:
        asked.say(f"HTTP/1.1 200 OK\r\n{SSE}\r\n".encode())
        while data := await go.get():
            asked.say(chunk(data))
        asked.say(b"0\r\n\r\n")

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request())
        await reader.readuntil(b"\r\n\r\n")
        for number in range(50):
            piece = b"data: %d\n\n" % number
            go.put_nowait(piece)
            assert await reader.readexactly(len(chunk(piece))) == chunk(piece), "nothing waits for what follows"
        go.put_nowait(b"")
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.write(here.request())  # the connection is as good as new
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert there.connections == 1, "and so is the one behind it"


async def test_an_error_in_the_midst_of_an_answer_is_passed_on_and_seen() -> None:
    said = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'

    async def script(asked: Asked) -> None:
        asked.say(f"HTTP/1.1 200 OK\r\n{SSE}\r\n".encode() + chunk(b"data: {}\n\n") + chunk(said) + b"0\r\n\r\n")

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        heard = asyncio.Event()
        refusals: list[Refusal | None] = []

        def hear(_host: str, seen: Seen) -> None:
            refusals.append(seen.refusal)
            if len(refusals) == 2:
                heard.set()

        here.door.listen(hear)
        writer.write(here.request())
        got = await reader.readuntil(b"\r\n0\r\n\r\n")
        await heard.wait()
        writer.close()
    assert said in got
    assert refusals == [None, Refusal(503, Failure.OVERLOADED)]
    assert (here.door.tally.refused, here.door.tally.status) == (1, 503)


async def test_no_piece_waits_for_the_piece_before_it_to_be_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nagle's algorithm, against an agent that puts its acknowledgements off, is 40 ms for each call."""
    sides: list[_Side] = []
    accept = Proxy._accept
    monkeypatch.setattr(Proxy, "_accept", lambda proxy, side: (sides.append(side), accept(proxy, side)))
    async with asyncio.timeout(PATIENCE), provider(echo) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request())
        await read_answer(reader)
        while not here.door.upstream._idle:
            await asyncio.sleep(0)
        both = [sides[0].writer, here.door.upstream._idle[0].writer]
        sockets = [one.get_extra_info("socket") for one in both]
        assert [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets] == [1, 1]
        writer.close()


async def test_a_body_may_come_in_chunks_and_be_large() -> None:
    total = 32 << 20
    digests: list[str] = []

    async def script(asked: Asked) -> None:
        read, digest = 0, hashlib.sha256()
        while (line := await asked.reader.readline()) != b"0\r\n":
            data = await asked.reader.readexactly(int(line, 16) + 2)
            digest.update(data[:-2])
            read += len(data) - 2
        await asked.reader.readline()
        digests.append(digest.hexdigest())
        asked.answer(str(read).encode())

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request().replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2])
        digest, piece = hashlib.sha256(), os.urandom(1 << 20)
        for _ in range(total >> 20):
            digest.update(piece)
            writer.write(chunk(piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert (await read_answer(reader))[1] == str(total).encode()
        writer.close()
    assert digests == [digest.hexdigest()]


async def test_an_agent_that_hangs_up_is_hung_up_on_by_us() -> None:
    gone = asyncio.Event()

    async def script(asked: Asked) -> None:
        asked.say(f"HTTP/1.1 200 OK\r\n{SSE}\r\n".encode() + chunk(b"data: 1\n\n"))
        await asked.reader.read()  # until the tap hangs up
        gone.set()
        raise ConnectionError

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request())
        await reader.readuntil(b"data: 1\n\n")
        writer.close()
        await gone.wait()
        while here.door.tally.running:
            await asyncio.sleep(0)
    assert here.door.tally.failed == 1


async def test_a_provider_that_breaks_off_is_seen_to_break_off() -> None:
    async def script(asked: Asked) -> None:
        asked.say(f"HTTP/1.1 200 OK\r\n{SSE}\r\n".encode() + chunk(b"data: 1\n\n"))
        await asked.writer.drain()
        raise ConnectionError

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        client = httpx.AsyncClient(trust_env=False)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"http://127.0.0.1:{here.port}{here.path}/v1/messages")
        await client.aclose()
    assert here.door.tally.failed == 1


async def test_sixty_four_at_once_each_get_their_own_answer() -> None:
    async with asyncio.timeout(PATIENCE), provider(echo) as there, tapped(there.url) as here:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=PATIENCE) as client:
            url = f"http://127.0.0.1:{here.port}{here.path}/x"
            bodies = [os.urandom(1 + 977 * n) for n in range(64)]
            answers = await asyncio.gather(*(client.post(url, content=body) for body in bodies for _ in range(3)))
    assert [answer.content for answer in answers] == [body for body in bodies for _ in range(3)]
    assert (here.door.tally.calls, here.door.tally.running, here.door.tally.failed) == (192, 0, 0)


async def test_a_slow_provider_is_waited_for() -> None:
    answer = asyncio.Event()

    async def script(asked: Asked) -> None:
        await answer.wait()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
            asked.say(bytes([byte]))
            await asked.writer.drain()

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request())
        while not there.asked:
            await asyncio.sleep(0)
        answer.set()
        assert (await read_answer(reader))[1] == b"ok"
        writer.close()


@pytest.mark.parametrize(
    "wrong", ["/", "/tokem/v1/messages", "/toke", "/token2/x", "//token/x", "http://x/token/x", "*"]
)
async def test_without_the_right_token_there_is_nothing(wrong: str) -> None:
    async with provider(echo) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(f"POST {wrong} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        head, body = await read_answer(reader)
        writer.close()
    assert head.startswith(b"HTTP/1.1 404 ")
    assert there.url.encode() not in head + body
    assert not there.asked


@pytest.mark.parametrize(
    "injected",
    [
        b"X-A: a\rX-B: b\r\n",
        b"X-A: a\n\x00: b\r\n",
        b"X A: a\r\n",
        b"X-A : a\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"X-A: \x00\r\n",
    ],
)
async def test_what_two_servers_could_read_in_two_ways_goes_no_further(injected: bytes) -> None:
    async with provider(echo) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request().replace(b"\r\n\r\n", b"\r\n" + injected + b"\r\n", 1))
        head, _ = await read_answer(reader)
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert not there.asked


async def test_where_chunks_say_the_end_a_length_is_not_passed_on() -> None:
    async def script(asked: Asked) -> None:
        assert "content-length" not in asked.headers
        while await asked.reader.readline() != b"0\r\n":
            pass
        await asked.reader.readline()
        asked.answer(b"ok")

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        head = here.request().replace(b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n")
        writer.write(head[:-2] + b"2\r\n{}\r\n0\r\n\r\n")
        assert (await read_answer(reader))[1] == b"ok"
        writer.close()


async def test_a_head_without_an_end_is_refused() -> None:
    async with asyncio.timeout(PATIENCE), provider(echo) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /token/x HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000)
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert not there.asked


async def test_a_provider_that_is_not_there_is_an_error_that_says_so() -> None:
    async with tapped("http://127.0.0.1:1") as here:
        reader, writer = await here.connect()
        writer.write(here.request(body=b"x" * 3_000_000))  # and what was sent does not tear the answer
        head, body = await read_answer(reader)
        writer.close()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert json.loads(body)["error"]["message"].startswith("Headway's tap: 127.0.0.1 cannot be reached: ")
    assert KEY.encode() not in body


async def test_what_is_no_http_is_an_error_too() -> None:
    async def script(asked: Asked) -> None:
        asked.say(b"SSH-2.0-OpenSSH\r\n\r\n")

    async with provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(here.request())
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 502 ")
        writer.close()


async def test_other_protocols_are_refused_and_a_key_that_is_not_there_yet_is_waited_for() -> None:
    async with provider(echo) as there, tapped(there.url, key=None) as here:
        reader, writer = await here.connect()
        writer.write(here.request(more="Upgrade: websocket\r\nConnection: Upgrade\r\n"))
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 426 ")
        writer.close()
        reader, writer = await here.connect()
        writer.write(here.request())
        head, _ = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 2\r\n" in head
        writer.close()
        assert not there.asked


async def test_an_agent_asks_only_for_what_can_be_read_as_it_passes() -> None:
    async with provider(echo) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        for said in ("gzip, deflate, br, zstd", "br;q=1", "identity, gzip;q=0.5"):
            writer.write(here.request(more=f"Accept-Encoding: {said}\r\n"))
            await read_answer(reader)
        writer.close()
    assert [asked.headers["accept-encoding"] for asked in there.asked] == [
        "gzip, deflate",
        "identity",
        "identity, gzip;q=0.5",
    ]


async def test_the_key_goes_where_the_stand_in_was_and_to_nobody_else() -> None:
    async with provider(echo) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        stand_in = here.door.stand_in.decode()
        plain = here.request("/x", b"").replace(f"x-api-key: {stand_in}\r\n".encode(), b"")
        for path, more in (("/x", f"Authorization: Bearer {stand_in}\r\n"), (f"/x?key={stand_in}", "")):
            writer.write(plain.replace(b"/x", path.encode(), 1)[:-2] + more.encode() + b"\r\n")
            await read_answer(reader)
        writer.write(plain[:-2] + b"Authorization: Bearer other\r\n\r\n")
        await read_answer(reader)
        writer.close()
    assert there.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert there.asked[1].head.startswith(f"POST /x?key={KEY} ".encode())
    assert KEY.encode() not in there.asked[2].head


async def test_an_answer_that_comes_before_all_was_sent_is_passed_on() -> None:
    async def script(asked: Asked) -> None:
        asked.answer(b"too large", status="413 Too Large", more="Connection: close\r\n")
        await asked.writer.drain()
        asked.writer.close()
        raise ConnectionError

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        writer.write(
            here.request().replace(b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n")[:-2] + chunk(b"x")
        )
        head, body = await read_answer(reader)
        writer.close()
    assert (head.split()[1], body) == (b"413", b"too large")


async def test_a_connection_that_the_provider_has_closed_meanwhile_is_not_used_again() -> None:
    async def script(asked: Asked) -> None:
        asked.answer(b"ok")
        await asked.writer.drain()
        raise ConnectionError

    async with asyncio.timeout(PATIENCE), provider(script) as there, tapped(there.url) as here:
        reader, writer = await here.connect()
        for _ in range(5):
            writer.write(here.request())
            assert (await read_answer(reader))[1] == b"ok"
            while any(line.alive for line in here.door.upstream._idle):
                await asyncio.sleep(0)
        writer.close()
    assert there.connections == 5


async def test_the_way_may_lead_through_a_proxy_with_a_name_and_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", int(there.url.rpartition(":")[2]))
        await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))

    async with provider(echo) as there:
        server = await asyncio.start_server(between, "127.0.0.1", 0)
        address = f"me:p%40ss@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        env = {"http_proxy": f"http://{address}", "NO_PROXY": "other.test, .example.test:81"}
        found = upstreams.Upstream("http://api.example.test", env)
        line = await found.line()
        line.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_answer(line.reader))[0].startswith(b"HTTP/1.1 200 ")
        line.drop()
        server.close()
    assert seen[0].startswith(b"CONNECT api.example.test:80 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in seen[0]


@pytest.mark.parametrize("said", ["http://[*a", "http://a:b", "http://:80"])
async def test_a_proxy_that_is_no_address_is_said_and_not_gone_round(said: str) -> None:
    with pytest.raises(upstreams.UpstreamError, match="the environment's https_proxy is no address"):
        await upstreams.Upstream("https://api.example.test", {"HTTPS_PROXY": said}).line()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()


async def test_a_provider_behind_tls_has_to_show_who_it_is(tmp_path: object) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(str(tmp_path)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with tapped(f"https://localhost:{server.sockets[0].getsockname()[1]}") as here:
        reader, writer = await here.connect()
        writer.write(here.request())
        head, body = await read_answer(reader)
        writer.close()
    server.close()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"TLS: " in body


def self_signed(folder: str) -> tuple[str, str]:
    import subprocess

    certificate, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
