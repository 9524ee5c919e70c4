"""The line to an engine: HTTP over the UNIX socket of its home, with every failure as one of our errors."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from engine.errors import HeadwayError, NoEngineError
from engine.home import SOCKET
from engine.server.wire import Frames, WireError, from_wire

T = TypeVar("T")

ANSWER_SECONDS = 120.0  #: for one call; the largest submission on a slow disk takes a few
PAGE = 500  #: rows of one request


class Link:
    """Use as a context manager. The families of calls are built on what it can do."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._http: httpx.AsyncClient | None = None
        self._fd = -1

    async def __aenter__(self) -> Self:
        self._http = self.opened()
        return self

    def opened(self) -> httpx.AsyncClient:
        """The way there: by the socket of the home. Raises `NoEngineError` where there is no home."""
        try:
            # By an open directory, because the address of a UNIX socket is at most 107 bytes long.
            self._fd = os.open(self._home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise _no_engine(self._home) from None
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        # Nothing here is TLS, and to read the world's certificates takes longer than most answers.
        uds = f"/proc/self/fd/{self._fd}/{SOCKET}"
        transport = httpx.AsyncHTTPTransport(uds=uds, limits=limits, verify=False)
        return httpx.AsyncClient(transport=transport, base_url="http://headway", timeout=ANSWER_SECONDS)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()
        if self._fd >= 0:
            os.close(self._fd)

    async def get(self, path: str, kind: type[T], params: dict[str, Any] | None = None) -> T:
        return msgspec.json.decode(await self.call("GET", path, params=params), type=kind)

    async def post(self, path: str, body: msgspec.Struct, kind: type[T]) -> T:
        return msgspec.json.decode(await self.call("POST", path, content=msgspec.json.encode(body)), type=kind)

    async def call(self, method: str, path: str, **options: Any) -> bytes:
        assert self._http is not None, "use the client as a context manager"
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self.lost(error) from None
        if answer.is_error:
            raise _error(answer.content)
        return answer.content

    async def frames(self, path: str, params: dict[str, Any]) -> AsyncGenerator[tuple[str, bytes], None]:
        frames = Frames()
        async with aclosing(self.pieces(path, params)) as pieces:
            async for data in pieces:
                for found in frames.feed(data):
                    yield found

    async def pieces(self, path: str, params: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        assert self._http is not None, "use the client as a context manager"
        try:
            async with self._http.stream("GET", path, params=params, timeout=None) as answer:
                if answer.is_error:
                    raise _error(await answer.aread())
                async for data in answer.aiter_raw():
                    yield data
        except httpx.TransportError as error:
            raise self.lost(error) from None

    def lost(self, error: httpx.TransportError) -> HeadwayError:
        """What a broken conversation means."""
        if isinstance(error, httpx.ConnectError):
            return _no_engine(self._home)
        if isinstance(error, httpx.TimeoutException):
            return HeadwayError(
                f"the engine did not answer within {ANSWER_SECONDS:.0f} s; `headway doctor` looks into it"
            )
        return NoEngineError(f"the engine of {self._home} went away in the middle of an answer")


def _no_engine(home: Path) -> NoEngineError:
    return NoEngineError(f"no engine serves {home}; start one with `headway serve`, or open the console with `headway`")


def _error(content: bytes) -> HeadwayError:
    try:
        return from_wire(msgspec.json.decode(content, type=WireError))
    except msgspec.MsgspecError:
        return HeadwayError(f"the engine failed: {content[:200].decode(errors='replace')}; its log says more")
