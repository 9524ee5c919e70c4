"""The tap of one home: where it listens, and for which attempts.

It has a thread and a loop of its own, so that an engine that is busy for a moment does not hold up what streams to the
agents. An agent outlives its engine, and calls the address that it was started with: so the port, and the secret that
its names are derived from, are kept in the home, and the next engine listens there again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import logging
import os
import random
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.errors import RefusedError, StorageError
from engine.model import TapState
from engine.tap.door import Door, Whose
from engine.tap.proxy import Proxy

logger = logging.getLogger(__name__)

FILE = "tap.json"
HOST = "127.0.0.1"
#: Where ports are looked for first: below those that the kernel gives to whoever asks for any, so that nobody has ours
#: by chance while no engine listens there.
LOWEST, TRIES = 20_000, 50
AGAIN_SECONDS = 1.0  #: between two tries to listen on a port that agents know and somebody else has


class _Kept(Struct, frozen=True):
    """What the next engine has to know."""

    port: int
    secret: str


class Tap:
    """Made for every engine; it listens only once there is something to tap. Use it from the engine's loop alone."""

    def __init__(self, home: Path) -> None:
        self._file = home / FILE
        self._doors: dict[str, Door] = {}
        """By token; read by the tap's own loop as well."""
        self._by_attempt: dict[int, Door] = {}
        self._kept: _Kept | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._end: Callable[[], None] = lambda: None
        self._ready = False

    def open(self, whose: Whose, upstream: str, key: str | None) -> Door:
        """A door for an attempt. Raises `StorageError` or `RefusedError` where the tap cannot be there."""
        kept = self._keep()
        secret = bytes.fromhex(kept.secret)
        token, stand_in = (_derived(secret, what, whose.marker) for what in ("path", "key"))
        door = Door(whose, token, f"headway-{stand_in}", upstream, key)
        self._doors[token] = self._by_attempt[whose.attempt] = door
        if self._ready:
            self._serve()
        return door

    def ready(self) -> None:
        """The doors of all attempts that run already have been opened: who knocks now and has none is a stranger."""
        self._ready = True
        if self._doors:
            self._serve()

    def url(self, door: Door) -> str:
        """What its agent is told to call instead of its provider."""
        assert self._kept is not None, "a door is opened first"
        return f"http://{HOST}:{self._kept.port}/{door.token}"

    @property
    def port(self) -> int | None:
        """Where it listens; None for as long as no door was opened."""
        return self._kept.port if self._kept is not None else None

    def door(self, attempt: int) -> Door | None:
        return self._by_attempt.get(attempt)

    def close(self, attempt: int) -> None:
        """The attempt has ended: its address is none any more."""
        door = self._by_attempt.pop(attempt, None)
        if door is None:
            return
        door.closed = True
        self._doors.pop(door.token, None)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(door.upstream.close)

    def states(self) -> list[TapState]:
        """What has passed, of the attempts that run."""
        return sorted((door.state() for door in self._by_attempt.values()), key=lambda one: one.attempt)

    def stop(self) -> None:
        """Listen no more. The agents try again until the next engine does."""
        if self._thread is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)
            self._thread.join()
        elif self._listener is not None:
            self._listener.close()

    def _keep(self) -> _Kept:
        """The address, listening already: who calls before it is served waits for that."""
        if self._kept is None:
            self._kept = self._read()
            if self._kept is None:
                self._listener = _bind_any()
                self._kept = _Kept(self._listener.getsockname()[1], secrets.token_hex(32))
                self._write(self._kept)
            elif (listener := _bind(self._kept.port)) is not None:
                self._listener = listener
            else:
                logger.error("the tap's port %d is taken: agents that know it wait for it", self._kept.port)
        return self._kept

    def _serve(self) -> None:
        if self._thread is None:
            started = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(started,), name="tap", daemon=True)
            self._thread.start()
            started.wait()

    def _run(self, started: threading.Event) -> None:
        try:
            asyncio.run(self._answer(started))
        except Exception:
            logger.exception("the tap failed")
        finally:
            started.set()

    async def _answer(self, started: threading.Event) -> None:
        self._loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._end = ended.set
        proxy, serves = Proxy(self._doors), False
        try:
            while not ended.is_set():
                if self._listener is None and self._kept is not None:
                    self._listener = _bind(self._kept.port)
                if self._listener is not None and not serves:
                    await proxy.serve(self._listener)
                    serves = True
                started.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if serves else AGAIN_SECONDS):
                        await ended.wait()
        finally:
            await proxy.close()

    def _read(self) -> _Kept | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
            logger.warning("%s cannot be read: the tap begins anew", self._file)
            return None

    def _write(self, kept: _Kept) -> None:
        new = self._file.with_name(f"{FILE}.new")
        try:
            fd = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(kept))
                os.fsync(fd)
            new.rename(self._file)
        except OSError as error:
            raise StorageError(f"{self._file} cannot be written: {error.strerror}") from None


def _derived(secret: bytes, what: str, marker: str) -> str:
    return hmac.new(secret, f"{what}:{marker}".encode(), hashlib.sha256).hexdigest()[:40]


def _bind(port: int) -> socket.socket | None:
    """A socket that listens on that port; None where somebody has it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what is left of the last engine's connections
        listener.bind((HOST, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise RefusedError(f"the tap cannot listen: {error.strerror}") from None
    return listener


def _bind_any() -> socket.socket:
    try:
        highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        highest = 0
    for _ in range(TRIES if highest > LOWEST else 0):
        if (found := _bind(random.randrange(LOWEST, highest))) is not None:
            return found
    found = _bind(0)
    assert found is not None, "the kernel gives any"
    return found
