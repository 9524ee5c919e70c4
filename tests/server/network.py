"""An engine of this process behind the door to the network: real sockets and real TLS, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from uvicorn.server import ServerState

from engine.config import ServerSettings
from engine.engine import Engine
from engine.model.access import Role, TokenWanted
from engine.remote.address import Address, read_address
from engine.remote.https import NetworkClient
from engine.server.app import make_app
from engine.server.certificate import make
from engine.server.guard import Guard
from engine.server.network import CERTIFICATE, FOLDER, KEY, fingerprint, opened
from engine.server.peers import Peers
from tests.conftest import PATIENCE


def certified(home: Path) -> Path:
    """A certificate of a home, made where there is none."""
    folder = home / FOLDER
    if not (folder / CERTIFICATE).exists():
        make(folder / CERTIFICATE, folder / KEY, ["localhost", "127.0.0.1"], 2)
    return folder / CERTIFICATE


@dataclass(slots=True)
class Reached:
    """An engine, as those on the network have it."""

    engine: Engine
    url: str
    certificate: Path
    state: ServerState
    guard: Guard

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def token(self, role: Role = Role.OPERATOR, name: str | None = None, expires: str | None = None) -> str:
        wanted = TokenWanted(name=name or str(role), role=role, expires=expires)
        return (await self.engine.tokens.add(wanted, "test")).secret

    def address(self, token: str) -> Address:
        return read_address(self.url, {"HEADWAY_TOKEN": token}, fingerprint=fingerprint(self.certificate))

    def client(self, token: str) -> NetworkClient:
        return NetworkClient(self.address(token))

    @asynccontextmanager
    async def raw(self, receive_bytes: int | None = None) -> AsyncIterator[Raw]:
        """A connection of TLS that says what it is told to. `receive_bytes`: of the kernel's buffer."""
        context = ssl.create_default_context(cafile=self.certificate)
        peer = socket.socket()
        if receive_bytes is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(
            sock=peer, ssl=context, server_hostname="localhost", limit=receive_bytes or 1 << 16
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


Raw = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def said(reader: asyncio.StreamReader) -> bytes:
    """All until the other end has gone, however it went."""
    heard = b""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(1 << 16):
                heard += data
    return heard


def head(token: str, method: str = "GET", path: str = "/v1/status", *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *more, "", ""]
    return "\r\n".join(lines).encode()


@asynccontextmanager
async def reached(engine: Engine, settings: ServerSettings | None = None) -> AsyncIterator[Reached]:
    settings = settings or ServerSettings()
    certificate = certified(engine.home)
    peers, state = Peers(settings.requests, settings.connections), ServerState()
    guard = Guard(make_app(engine), engine.tokens, engine.audit, settings, peers)
    config = uvicorn.Config(guard, ws="none", lifespan="off", log_config=None, access_log=False)
    with opened(settings, "127.0.0.1:0", engine.home, peers) as network:
        taking = asyncio.create_task(network.run(config, state))
        try:
            yield Reached(engine, network.address, certificate, state, guard)
        finally:
            engine.hub.close()
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            for one in tuple(state.connections):
                one.transport.abort()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=PATIENCE)
