"""The engine's end of the way out: an HTTP proxy (RFC 9110, sections 7.6 and 9.3.6) that refuses what is not named.

A tunnel is made to the address that was looked at, not to the name once more. Whoever has a tunnel to a server may
still ask it for another of its hosts: what a server is, the list decides, not what is said to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.network.allowed import Entry, address_of, entry_for, leads_astray
from engine.tap.upstream import CONNECT_SECONDS, Ends, Upstream, UpstreamError

logger = logging.getLogger(__name__)

HEAD_BYTES = 16 << 10
HEAD_SECONDS = 30.0
READ_BYTES = 1 << 16

Look = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host and a port."""


class RefusedWayError(Exception):
    """It may not go there; the words say why."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a client wants to go."""

    host: str
    port: int
    head: bytes = b""
    """What is sent there first; nothing for a tunnel."""

    @property
    def tunnel(self) -> bool:
        return not self.head

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def goal_of(head: bytes) -> Goal:
    """What a request to a proxy asks for. Raises `ValueError`."""
    first, _, rest = head.partition(b"\r\n")
    method, target, version = first.decode("ascii").split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError("it speaks another protocol")
    at = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if method != "CONNECT" and at.scheme != "http":
        raise ValueError("a proxy is asked for http://... or to CONNECT")
    if not at.hostname or (method == "CONNECT" and at.port is None):
        raise ValueError("it names no host and port")
    if method == "CONNECT":
        return Goal(at.hostname, at.port or 443)
    path = (at.path or "/") + (f"?{at.query}" if at.query else "")
    # One request on one connection: the next one may be for another host, and is looked at again.
    kept = [line for line in rest.split(b"\r\n") if line and not _is_of_the_hop(line)]
    lines = [f"{method} {path} HTTP/1.1".encode(), *kept, b"Connection: close", b"", b""]
    return Goal(at.hostname, at.port or 80, b"\r\n".join(lines))


def _is_of_the_hop(line: bytes) -> bool:
    name = line.partition(b":")[0].strip().lower()
    return name in (b"connection", b"keep-alive", b"upgrade") or name.startswith(b"proxy-")


async def look_up(host: str, port: int) -> list[str]:
    """Addresses of a name, as this machine finds them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def connect(goal: Goal, entry: Entry, look: Look = look_up) -> Ends:
    """A connection to where an entry lets it go. Raises `RefusedWayError`, or `UpstreamError` where nobody answers."""
    upstream = Upstream(f"https://{goal}" if goal.tunnel else f"http://{goal}")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if (proxy := upstream.proxy()) is not None:
                # The name is looked up by that one: this machine may know no address of it.
                ends = await asyncio.open_connection(proxy.hostname, proxy.port or 80, limit=READ_BYTES)
                await upstream.tunnel(*ends, proxy)
                return ends
            return await _straight(goal, entry, await look(goal.host, goal.port))
    except TimeoutError:
        raise UpstreamError(f"no connection within {CONNECT_SECONDS:.0f} s") from None
    except OSError as error:
        raise UpstreamError(error.strerror or type(error).__name__) from None


async def _straight(goal: Goal, entry: Entry, found: Sequence[str]) -> Ends:
    trouble: OSError | None = None
    for text in found:
        address = address_of(text.partition("%")[0])
        if address is not None and (why := leads_astray(entry, address)):
            raise RefusedWayError(why)
        try:
            return await asyncio.open_connection(text, goal.port, limit=READ_BYTES)
        except OSError as error:
            trouble = error
    raise trouble or OSError("no address is known")


@dataclass(frozen=True, slots=True)
class Way:
    """What one sandbox may reach."""

    entries: Sequence[Entry]
    ports: frozenset[int]
    """Of this machine, for tunnels to it: the tap's, and those that the list names."""
    refused: Callable[[str, int, str], Awaitable[None]]
    """Told of each that may not be reached."""


async def serve(way: Way, verb: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of a sandbox. `verb`: `proxy`, or `port 8000`."""
    kind, _, number = verb.partition(" ")
    if kind == "port":
        await _to_port(way, int(number) if number.isdigit() else 0, reader, writer)
        return
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            goal = goal_of(await reader.readuntil(b"\r\n\r\n"))
    except (ValueError, TimeoutError, asyncio.LimitOverrunError) as error:
        writer.write(_answer(400, "Bad Request", f"headway: {error or 'the request is too long or too slow'}"))
        return
    entry = entry_for(way.entries, goal.host, goal.port)
    try:
        if entry is None:
            raise RefusedWayError("it is not among what `network:` of its sandbox names")
        ends = await connect(goal, entry)
    except RefusedWayError as error:
        await way.refused(goal.host, goal.port, str(error))
        writer.write(_answer(403, "Forbidden", f"headway: {goal} may not be reached: {error}"))
        return
    except UpstreamError as error:
        writer.write(_answer(502, "Bad Gateway", f"headway: {goal} cannot be reached: {error}"))
        return
    if goal.tunnel:
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        ends[1].write(goal.head)
    await _carry((reader, writer), ends)


async def _to_port(way: Way, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if port not in way.ports:
        await way.refused("127.0.0.1", port, "it is not among what `network:` of its sandbox names")
        return
    with contextlib.suppress(OSError):
        await _carry((reader, writer), await asyncio.open_connection("127.0.0.1", port, limit=READ_BYTES))


async def _carry(one: Ends, other: Ends) -> None:
    """Pass on what either side says until both have ended, or one is gone."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(one[0], other[1]))
            tasks.create_task(_copy(other[0], one[1]))
    except* (ConnectionError, OSError):
        pass
    finally:
        other[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _answer(status: int, words: str, why: str) -> bytes:
    body = f"{why}\n".encode()
    head = f"HTTP/1.1 {status} {words}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
