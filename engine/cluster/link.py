"""The line to the cluster: what it says of its nodes, and words to them and back.

Ray ends the process that uses it when its head is gone for a minute. So what speaks Ray is a child of its own
(`engine.cluster.driver`), which is started anew until there is a head again; the engine goes on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from engine.cluster import driver
from engine.cluster.words import (
    Answer,
    Down,
    Free,
    NoRoomError,
    Reserve,
    Seen,
    Settled,
    UnreachableError,
    Up,
    Word,
    receive,
    send,
)
from engine.errors import HeadwayError
from engine.runner import procfs, spawn, tree
from engine.runner.tree import Tree

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0  #: before a driver that ended is started anew
#: With -P, what lies in the directory that the engine was started in is not taken for its own modules.
COMMAND = ("-P", "-m", driver.__name__)
LOG = "driver.log"
LOG_BYTES = 4 << 20  #: with more, it is begun anew


class DriverLink:
    """By way of a driver."""

    def __init__(self, settled: Settled, environment: Mapping[str, str], folder: Path) -> None:
        """`environment`: with the cluster's token and certificates. `folder`: for the driver's log."""
        self._settled = settled
        self._environment = environment
        self._folder = folder
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._changed: Callable[[], None] = lambda: None
        self.connected = False
        self.trouble = "the cluster is being connected"
        self.nodes: Mapping[str, Seen] = {}

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def run(self) -> None:
        while True:
            try:
                await self._serve()
            except OSError as error:
                logger.warning("the cluster's driver does not start: %s", error)
            except Exception:
                logger.exception("the cluster's driver is given up")  # and with it nothing else of the engine
            self._gone(self._last_words())
            await asyncio.sleep(AGAIN_SECONDS)

    async def _serve(self) -> None:
        """One driver, from its start to its end."""
        ours, theirs = socket.socketpair()
        with theirs:
            pid = self._spawn(theirs)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await send(writer, self._settled)
                self._writer = writer
                while True:
                    self._take(msgspec.msgpack.decode(await receive(reader), type=Up))
        finally:
            # By its transport, which has its number until then: that of the next descriptor may be the same.
            writer.transport.abort()
            who = procfs.identity(pid)
            if who is not None:
                await tree.stop(Tree(who, f"driver-{pid}", None), 1.0)
            await spawn.ended(pid)

    def _spawn(self, theirs: socket.socket) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self._folder / LOG
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.unlink()
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            argv = [sys.executable, *COMMAND]
            return spawn.spawn(argv, self._environment, spawn.Streams(theirs.fileno(), said, said))
        finally:
            os.close(said)

    def _last_words(self) -> str:
        try:
            lines = (self._folder / LOG).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        told = next((line.removeprefix("headway: ") for line in reversed(lines) if line.startswith("headway: ")), "")
        return told or f"the cluster's driver has ended: {self._folder / LOG} says why"

    def _take(self, message: Up) -> None:
        if isinstance(message, Answer):
            waiting = self._waiting.pop(message.number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        self.connected, self.trouble = True, ""
        self.nodes = {one.name: one for one in message.nodes}
        self._changed()

    def _gone(self, why: str) -> None:
        self._writer = None
        self.connected, self.trouble, self.nodes = False, why, {}
        waiting, self._waiting = self._waiting, {}
        for number, one in waiting.items():
            if not one.done():
                one.set_result(Answer(number, unreachable=why))
        self._changed()

    async def _ask(self, number: int, message: Down) -> Answer:
        if self._writer is None:
            raise UnreachableError(self.trouble)
        waiting: asyncio.Future[Answer]
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await send(self._writer, message)
            answer = await waiting
        except ConnectionError:
            raise UnreachableError(self.trouble or "the cluster's driver has ended") from None
        finally:
            self._waiting.pop(number, None)
        if answer.unreachable:
            raise UnreachableError(answer.unreachable)
        if answer.full:
            raise NoRoomError(answer.full)
        return answer

    async def call(self, node: str, verb: str, data: bytes) -> bytes:
        number = next(self._numbers)
        return (await self._ask(number, Word(number, node, verb, data))).data

    async def reserve(self, key: str, wish: Reserve) -> str:
        number = next(self._numbers)
        return (await self._ask(number, msgspec.structs.replace(wish, number=number, key=key))).data.decode()

    async def free(self, *keys: str, others: bool = False) -> None:
        number = next(self._numbers)
        with contextlib.suppress(HeadwayError):
            await self._ask(number, Free(number, list(keys), others))
