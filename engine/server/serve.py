"""Serving one home: the process that `headway serve` is, and that the console starts for itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.config import Settings
from engine.engine import Engine
from engine.errors import HeadwayError, RefusedError
from engine.home import SOCKET
from engine.redact import Filter
from engine.runner import reaper, spawn
from engine.server import network as net
from engine.server import notify
from engine.server.agents import serving_agents
from engine.server.app import make_app
from engine.server.caller import at_socket
from engine.server.guard import Guard
from engine.server.listening import listening
from engine.server.peers import Peers
from engine.server.sandboxes import serving_sandboxes
from engine.serving import serving

logger = logging.getLogger(__name__)

#: New objects between two looks for garbage among the new, and looks between those among the older. Python's own (700,
#: 10, 10) are made for small programs: with 500 attempts a look at all took 0.13 s.
GARBAGE = (10_000, 20, 20)
_LEAVING_SECONDS = 0.01  #: between two looks whether the last answers are given
IDLE_CHECK_SECONDS = 5.0  #: how often an engine that ends when idle looks whether it is


@dataclass(frozen=True, slots=True)
class Terms:
    """How an engine serves."""

    ready_fd: int | None = None
    """A descriptor on which to write one line once requests are answered."""
    idle_exit: float | None = None
    """End after so many seconds without work and without a subscriber."""
    drain: float | None = None
    """Seconds that running attempts are given to end when the engine is asked to stop; None: they run on without it."""
    listen: str | None = None
    """`HOST:PORT` for TCP with TLS, where the settings do not say so."""
    check: Callable[[], object] = lambda: None
    """Reads the settings again before they are taken: raises `HeadwayError` where something is wrong in them."""


async def serve(home: Path, settings: Settings, terms: Terms) -> bool:
    """Serve until asked to stop: by SIGTERM or SIGINT, by a shutdown request, or by being idle.

    Returns whether SIGHUP asked for it, and it is to be started anew with the settings as they are now: what runs
    meanwhile is adopted. Raises `RefusedError` where another engine holds the home.
    """
    spawn.raise_open_files_limit()
    spawn.keep_descriptors()
    spawn.be_spared()
    orphans = reaper.become_subreaper()
    async with serving(home, settings, subreaper=orphans) as engine, serving_agents(engine), serving_sandboxes(engine):
        for handler in logging.getLogger().handlers:
            handler.addFilter(Filter(engine.secrets))
        reaping = reaper.Reaper()
        reaping.start()
        loop = asyncio.get_running_loop()
        signals = _Signals(engine, terms)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signals.stop)
        loop.add_signal_handler(signal.SIGHUP, signals.hang_up)
        engine.reload = signals.reload
        app = make_app(engine)
        server = _Server(_config(app, _OwnersOnly))
        with _network(engine, terms) as network, listening(engine.home, SOCKET) as listener:
            async with asyncio.TaskGroup() as tasks:
                if network is not None:
                    config = _config(Guard(app, engine.tokens, engine.audit, engine.settings.server, network.peers))
                    server.beside = tasks.create_task(network.run(config, server.server_state), name="network")
                tasks.create_task(server.serve(sockets=[listener]), name="server")
                tasks.create_task(_stop_when_asked(engine, server, terms, signals), name="stopper")
        reaping.stop()
    return signals.anew


@contextlib.contextmanager
def _network(engine: Engine, terms: Terms) -> Iterator[net.Network | None]:
    """The door to the network, where one is asked for."""
    settings = engine.settings.server
    listen = terms.listen or settings.listen
    if listen is None:
        yield None
        return
    peers = Peers(settings.requests, settings.connections)
    with net.opened(settings, listen, engine.home, peers) as network:
        engine.listens = network.address
        yield network


def _config(app: ASGIApp, protocol: type[H11Protocol] = H11Protocol) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


async def _stop_when_asked(engine: Engine, server: _Server, terms: Terms, signals: _Signals) -> None:
    await server.answering.wait()
    _tidy_up_less()
    logger.info("serving %s as pid %d", engine.home, os.getpid())
    notify.notify(notify.READY, notify.status(f"serves {engine.home}"))
    if terms.ready_fd is not None:
        with contextlib.suppress(OSError):  # whoever waited may have gone
            os.write(terms.ready_fd, b"ready\n")
        os.close(terms.ready_fd)
    idle = asyncio.create_task(_idle(engine, terms.idle_exit)) if terms.idle_exit is not None else None
    await engine.asked_to_stop.wait()
    if not signals.anew:
        notify.notify(notify.STOPPING)
    if idle is not None:
        idle.cancel()
    engine.hub.close()
    server.quit()


def _tidy_up_less() -> None:
    """What has been loaded stays to the end: to go through it for garbage again and again holds the loop up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


class _Signals:
    """What the signals mean. A second SIGTERM ends a drain that takes too long."""

    def __init__(self, engine: Engine, terms: Terms) -> None:
        self._engine = engine
        self._terms = terms
        self._draining: asyncio.TimerHandle | None = None
        self.anew = False

    def stop(self) -> None:
        asked = self._engine.asked_to_stop
        if self._terms.drain is None or self._draining is not None:
            asked.set()
            return
        notify.notify(notify.status("drains: what runs may end, nothing new starts"))
        logger.info("drains for at most %.0f s", self._terms.drain)
        self._draining = asyncio.get_running_loop().call_later(self._terms.drain, asked.set)
        self._engine.drain()

    def hang_up(self) -> None:
        with contextlib.suppress(HeadwayError):
            self.reload()

    def reload(self) -> None:
        """Start anew. Raises what is wrong in the settings, which then stay; and `RefusedError` while it drains."""
        if self._engine.drains:
            why = "the engine drains and ends then: the next one takes the settings, or `headway undo` a drain first"
            logger.warning("it does not start anew: %s", why)
            raise RefusedError(why)
        try:
            found = self._terms.check()
            if isinstance(found, Settings) and (self._terms.listen or found.server.listen):
                net.checked(found.server, self._engine.home)
        except HeadwayError as error:
            logger.error("the settings stay as they were: %s", error.message)
            notify.notify(notify.status(f"the settings stay as they were: {error.message}"))
            raise
        logger.info("starts anew with the settings as they are now")
        self.anew = True
        notify.notify(notify.reloading())
        self._engine.asked_to_stop.set()


async def _idle(engine: Engine, seconds: float) -> None:
    """Ask the engine to stop once nobody has needed it for so long."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    while loop.time() - since < seconds:
        await asyncio.sleep(min(IDLE_CHECK_SECONDS, seconds))
        if engine.hub.subscribers or not await engine.idle():
            since = loop.time()
    logger.info("idle for %.0f s", seconds)
    engine.asked_to_stop.set()


class _Server(uvicorn.Server):
    """Leaves the signals to the engine, tells when it answers, and sleeps until it is asked to stop.

    The stock loop wakes ten times a second to keep a date header fresh that nobody on a UNIX socket reads.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()
        self.beside: asyncio.Task[None] | None = None
        """What takes connections of another kind, and ends with this one."""
        self._quit = asyncio.Event()

    def quit(self) -> None:
        self.should_exit = True
        if self.beside is not None:
            self.beside.cancel()
        self._quit.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.answering.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._quit.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what is being answered end, for a while. The stock one waits a tenth of a second also for nobody."""
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn keeps sets, and tells nobody
                    await asyncio.sleep(_LEAVING_SECONDS)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            logger.error("cuts %d answers off that take too long", len(state.tasks))
            for task in state.tasks:
                task.cancel()


class _OwnersOnly(H11Protocol):
    """Answers the engine's own user and root, whatever the modes of the files say."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        caller = at_socket(transport.get_extra_info("socket"))
        if caller is None:
            transport.abort()
            return
        self.app_state = {"caller": caller}
        super().connection_made(transport)
