"""The door to the network: TCP with TLS, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from uvicorn.server import ServerState

from engine.config import ServerSettings
from engine.config.server import refused
from engine.errors import RefusedError, UsageError
from engine.server import deadlines
from engine.server.deadlines import Deadlines
from engine.server.peers import Peers
from engine.server.validity import SOON_DAYS, first, left

logger = logging.getLogger(__name__)

FOLDER = "tls"  #: in the home: what `headway server certificate` makes
CERTIFICATE, KEY = "engine.crt", "engine.key"

_HELLO = b"\x16"  #: the first byte of TLS (RFC 8446, section 5.1: a handshake)
_PLAIN = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"this port speaks TLS alone: https://\n"
)
_KERNEL_BYTES = 128 << 10  #: that may wait in the kernel for one reader, which by itself takes megabytes
_GOODBYE_SECONDS = 5.0  #: for TLS's own end
_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Network:
    """A listening socket with a certificate. `run` takes connections until it is cancelled."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, peers: Peers) -> None:
        self._listener = listener
        self._context = context
        self.peers = peers
        self._coming: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """As a client takes it."""
        host, port = self._listener.getsockname()[:2]
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    async def run(self, config: uvicorn.Config, state: ServerState) -> None:
        """Serve whoever comes. `state` is of the server that ends with the engine."""
        config.load()
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    peer, address = await loop.sock_accept(self._listener)
                except OSError as error:
                    if error.errno not in _NO_MORE:
                        continue  # it went away before it was taken
                    logger.warning("no connection can be taken: %s", error.strerror)
                    await asyncio.sleep(1)
                    continue
                if not self.peers.admit(address[0], loop.time()):
                    peer.close()
                    continue
                task = loop.create_task(self._take(peer, address[0], config, state), name=f"tls-{address[0]}")
                self._coming.add(task)
                task.add_done_callback(self._coming.discard)
        finally:
            for task in self._coming:
                task.cancel()
            await asyncio.gather(*self._coming, return_exceptions=True)

    async def _take(self, peer: socket.socket, address: str, config: uvicorn.Config, state: ServerState) -> None:
        """See one connection through its handshake. It costs a slot from the first, and its time is short."""
        ended = asyncio.Event()

        def end() -> None:
            if not ended.is_set():
                ended.set()
                self.peers.left(address)

        try:
            if not await _speaks_tls(peer):
                peer.close()
                end()
                return
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Deadlines(config, state, {}, end),
                peer,
                ssl=self._context,
                ssl_handshake_timeout=deadlines.HEAD_SECONDS,
                ssl_shutdown_timeout=_GOODBYE_SECONDS,
            )
        except (OSError, asyncio.CancelledError):  # no TLS after all, too old a TLS, or too slow
            peer.close()
            end()


@contextmanager
def opened(settings: ServerSettings, listen: str, home: Path, peers: Peers) -> Iterator[Network]:
    """Listen at `HOST:PORT`. Raises `UsageError` where there is no certificate, `RefusedError` where it cannot be."""
    if why := refused(listen):
        raise UsageError(f"--listen {listen}: {why}")
    certificate, context = checked(settings, home)
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listener = socket.create_server(found[0][4][:2], family=found[0][0], backlog=128)
    except OSError as error:
        raise RefusedError(f"{listen} cannot be listened at: {error.strerror}") from None
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
    with listener:
        network = Network(listener, context, peers)
        logger.info("serves %s, certificate sha256:%s", network.address, fingerprint(certificate))
        days, told = left(certificate, datetime.now(UTC))
        if days < SOON_DAYS:
            logger.warning("%s: who does not pin it trusts it no more then", told)
        yield network


def checked(settings: ServerSettings, home: Path) -> tuple[Path, ssl.SSLContext]:
    """The certificate, ready to be shown. Raises `UsageError` or `RefusedError` where it, or its key, will not do."""
    certificate, key = pair(settings, home)
    return certificate, _context(certificate, key)


def pair(settings: ServerSettings, home: Path) -> tuple[Path, Path]:
    """The certificate and its key: those of the settings, else those in the home. Raises `UsageError` without any."""
    if settings.certificate is not None and settings.key is not None:
        certificate, key = Path(settings.certificate).expanduser(), Path(settings.key).expanduser()
        missing = next((one for one in (certificate, key) if not one.is_file()), None)
        if missing is not None:
            raise UsageError(f"{missing} is not there, and TCP is served with TLS only")
        return certificate, key
    certificate, key = home / FOLDER / CERTIFICATE, home / FOLDER / KEY
    if not (certificate.is_file() and key.is_file()):
        raise UsageError(
            "TCP is served with TLS only, and there is no certificate: name one in headway.yaml "
            "(server: certificate, key), or let `headway server certificate` make one"
        )
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate of a file, as clients pin it. Raises `UsageError`."""
    try:
        return hashlib.sha256(first(certificate)).hexdigest()
    except (OSError, ValueError):
        raise UsageError(f"{certificate} is no certificate in the PEM format") from None


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    if key.stat().st_mode & 0o007:
        raise RefusedError(f"{key} can be read by everybody on this machine: chmod 600 {key}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise UsageError(f"{certificate} and {key} are no certificate and its key: {error}") from None
    return context


async def _speaks_tls(peer: socket.socket) -> bool:
    """Whether a connection begins as TLS does. Who speaks HTTP without it is told so."""
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(peer, ready.set)
    try:
        async with asyncio.timeout(deadlines.HEAD_SECONDS):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(peer)
    first = peer.recv(1, socket.MSG_PEEK)
    if first and first != _HELLO:
        with contextlib.suppress(OSError):
            peer.send(_PLAIN)
            peer.shutdown(socket.SHUT_WR)
    return first == _HELLO
