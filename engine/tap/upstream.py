"""Where the calls of one attempt go: the provider, behind TLS, straight or through the machine's own proxy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urlsplit

CONNECT_SECONDS = 30.0
IDLE_SECONDS = 15.0  #: for which a connection is kept for the next call; providers close theirs after a minute or more
KEPT = 8  #: idle connections to one provider for one attempt
READ_BYTES = 1 << 16

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class UpstreamError(Exception):
    """The provider cannot be reached; the words say why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    since: float = 0.0

    @property
    def alive(self) -> bool:
        return (
            not self.reader.at_eof() and not self.writer.is_closing() and time.monotonic() - self.since < IDLE_SECONDS
        )

    def drop(self) -> None:
        with contextlib.suppress(Exception):
            self.writer.transport.abort()


class Upstream:
    """The provider's address, and the connections to it that wait for another call."""

    def __init__(self, url: str, env: Mapping[str, str] | None = None) -> None:
        """`env`: the variables that name a proxy and certificates; the engine's own where it is not given."""
        self.url = url.rstrip("/")
        at = urlsplit(self.url)
        self.host = at.hostname or ""
        self._tls = at.scheme == "https"
        self._port = at.port or (443 if self._tls else 80)
        self._path = at.path.encode()
        self._env = os.environ if env is None else env
        self._idle: list[Line] = []

    @property
    def authority(self) -> bytes:
        """As the `Host` header names it."""
        standard = 443 if self._tls else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self._port == standard else f"{host}:{self._port}").encode()

    def target(self, path: bytes) -> bytes:
        """What a request asks the provider for: its base path, and what came behind the token."""
        return self._path + path or b"/"

    async def line(self) -> Line:
        """A connection for one call. Raises `UpstreamError`."""
        while self._idle:
            kept = self._idle.pop()
            if kept.alive:
                return kept
            kept.drop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return Line(*await self._connect())
        except TimeoutError:
            raise UpstreamError(f"no connection within {CONNECT_SECONDS:.0f} s") from None
        except ssl.SSLError as error:
            raise UpstreamError(f"TLS: {error.reason or 'it failed'}") from None
        except OSError as error:
            raise UpstreamError(error.strerror or type(error).__name__) from None

    def keep(self, line: Line) -> None:
        """Give a connection back that is ready for another call."""
        if len(self._idle) < KEPT and not line.reader.at_eof():
            self._idle.append(Line(line.reader, line.writer, time.monotonic()))
        else:
            line.drop()

    def close(self) -> None:
        for line in self._idle:
            line.drop()
        self._idle.clear()

    async def _connect(self) -> Ends:
        proxy = self.proxy()
        if proxy is None:
            if self._tls:
                return await asyncio.open_connection(self.host, self._port, ssl=context(), limit=READ_BYTES)
            return await asyncio.open_connection(self.host, self._port, limit=READ_BYTES)
        reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port or 80, limit=READ_BYTES)
        try:
            await self.tunnel(reader, writer, proxy)
            if self._tls:
                await writer.start_tls(context(), server_hostname=self.host)
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer

    async def tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: SplitResult) -> None:
        """Ask a proxy to connect us (RFC 9110, section 9.3.6)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        asked = f"CONNECT {host}:{self._port} HTTP/1.1\r\nHost: {host}:{self._port}\r\n"
        if proxy.username:
            named = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            asked += f"Proxy-Authorization: Basic {base64.b64encode(named.encode()).decode()}\r\n"
        writer.write(f"{asked}\r\n".encode())
        try:
            said = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise UpstreamError("the proxy gave no answer") from None
        status = said.partition(b" ")[2][:3]
        if not status.startswith(b"2"):
            raise UpstreamError(f"the proxy refused: {status.decode(errors='replace')}")

    def proxy(self) -> SplitResult | None:
        """As the agents would find it: `https_proxy` and `no_proxy`. Nothing stands between us and this machine.

        Raises `UpstreamError` where what the environment names is no address.
        """
        named = {name.lower(): value for name, value in self._env.items() if value}
        said = named.get("https_proxy" if self._tls else "http_proxy")
        if said is None or is_loopback(self.host):
            return None
        if _is_direct(self.host, self._port, named.get("no_proxy", "")):
            return None
        with contextlib.suppress(ValueError):
            at = urlsplit(said if "//" in said else f"http://{said}")
            if at.hostname and at.port != 0:
                return at
        raise UpstreamError(f"the environment's {'https' if self._tls else 'http'}_proxy is no address")


def _is_direct(host: str, port: int, said: str) -> bool:
    """Whether `no_proxy` names a host: itself, or a domain that it is in; a port may stand behind either."""
    for word in filter(None, (one.strip().lower() for one in said.split(","))):
        name, colon, number = word.rpartition(":")
        if colon and number.isdigit():
            if int(number) != port:
                continue
            word = name
        domain = word.removeprefix("*").removeprefix(".")
        if word == "*" or host == domain or host.endswith(f".{domain}"):
            return True
    return False


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


@lru_cache(maxsize=1)
def context() -> ssl.SSLContext:
    """The machine's certificates, and those that the agents are told of as well."""
    made = ssl.create_default_context()
    if more := os.environ.get("NODE_EXTRA_CA_CERTS"):
        with contextlib.suppress(OSError):
            made.load_verify_locations(more)
    return made
