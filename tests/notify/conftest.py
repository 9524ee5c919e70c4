"""Servers that take what is sent, on the loopback, and a notifier over a store whose news the test makes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailHandler

from engine.config import KeyReference, Settings
from engine.hub import Hub
from engine.notify.notifier import Notifier
from engine.redact import Secrets
from engine.runner.credentials import resolve
from engine.store import Store
from tests.conftest import PATIENCE


@dataclass
class Got:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """A server on the loopback. `answers` are given in turn, as a status or with headers, then 200."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """While it is clear, nothing is answered."""
    news: threading.Condition = field(default_factory=threading.Condition)

    async def wait(self, count: int) -> list[Got]:
        """The first so many requests."""

        def enough() -> None:
            with self.news:
                assert self.news.wait_for(lambda: len(self.got) >= count, PATIENCE), f"only {len(self.got)} came"

        await asyncio.to_thread(enough)
        return self.got[:count]


@pytest.fixture
def web() -> Iterator[Web]:
    one = Web()
    one.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with one.news:
                status = one.answers.pop(0) if one.answers else 200
                one.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                one.news.notify_all()
            one.hold.wait(PATIENCE)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may be dead
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield one
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Mail:
    host: str
    port: int
    got: list[EmailMessage] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    async def wait(self, count: int) -> list[EmailMessage]:
        def enough() -> None:
            with self.news:
                assert self.news.wait_for(lambda: len(self.got) >= count, PATIENCE), f"only {len(self.got)} came"

        await asyncio.to_thread(enough)
        return self.got[:count]


@pytest.fixture
def mail() -> Iterator[Mail]:
    one = Mail("127.0.0.1", 0)

    class Handler(MailHandler):
        def handle_message(self, message: EmailMessage) -> None:  # type: ignore[override]
            with one.news:
                one.got.append(message)
                one.news.notify_all()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        one.port = free.getsockname()[1]
    controller = Controller(Handler(EmailMessage), hostname="127.0.0.1", port=one.port)
    controller.start()
    yield one
    controller.stop()


@dataclass
class Desk:
    """A store, and what starts a notifier over it."""

    home: Path
    store: Store
    hub: Hub
    secrets: Secrets
    environment: dict[str, str]
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def notifier(self, settings: Settings) -> Notifier:
        async def key(reference: KeyReference) -> str:
            return await resolve(reference, self.environment)

        return Notifier(self.home, self.store, self.hub, settings, self.secrets, key)

    async def start(self, settings: Settings) -> Notifier:
        """One that runs, and has read the log up to here."""
        one = self.notifier(settings)
        self.running.append(asyncio.create_task(one.run()))
        await self.until(lambda: self.store.look(lambda tx: tx.connection.execute("SELECT 1 FROM notified").fetchone()))
        return one

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()

    async def until(self, check: Callable[[], Awaitable[object]]) -> None:
        """Wait until something in the store is so. There is no event for it, so it is looked at again and again."""
        async with asyncio.timeout(PATIENCE):
            while not await check():
                await asyncio.sleep(0.01)

    async def delivered(self, state: str, count: int = 1) -> list[tuple[str, str | None]]:
        """Wait until so many deliveries ended so; their channels and why."""
        sql = "SELECT channel, why FROM deliveries WHERE state = ? ORDER BY id"

        async def found() -> list[tuple[str, str | None]]:
            return await self.store.look(lambda tx: tx.connection.execute(sql, (state,)).fetchall())

        async def enough() -> bool:
            return len(await found()) >= count

        await self.until(enough)
        return await found()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    hub = Hub()
    store = await Store.open(tmp_path, hub.publish)
    one = Desk(tmp_path, store, hub, Secrets(), {})
    yield one
    await one.stop()
    await store.close()
