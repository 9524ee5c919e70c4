"""A real engine that serves its sockets in a thread of this process, and starts nothing: what is submitted waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from engine.config import AgentSettings, McpSettings, Settings
from engine.dispatch.dispatcher import Dispatcher
from engine.engine import Engine
from engine.home import SOCKET
from engine.mcp.capability import hashed
from engine.model import JobSpec, Tool, Wanted
from engine.server.agents import serving_agents
from engine.server.app import make_app
from engine.server.listening import listening, short_path
from engine.server.serve import _config, _OwnersOnly, _Server
from engine.serving import serving
from engine.store import claims
from tests.fuzz.contract import BrokenError

TOKEN = "the-token-of-an-attempt"  #: good for every tool, in the name of the only attempt that there is
PATIENCE = 30.0  #: seconds for which an answer is waited


@dataclass
class Stage:
    """What the targets see of it."""

    home: Path
    routes: list[tuple[str, str]]
    """Method and path of each call."""
    defects: list[str] = field(default_factory=list)
    """What was logged with a traceback."""

    def connected(self, name: str) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(PATIENCE)
        with short_path(self.home, name) as path:
            line.connect(str(path))
        return line

    def check(self) -> None:
        """Raise what was logged as a defect since the last time."""
        if self.defects:
            found, self.defects[:] = list(self.defects), []
            raise BrokenError(f"a traceback in the log: {found[0]}")


class _Defects(logging.Handler):
    """Keeps what no user should see."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self._found.append(logging.Formatter().format(record)[-2_000:])


async def _nothing(self: Dispatcher) -> None:
    """In place of the dispatcher: no attempt is started, whatever is submitted or released."""
    await asyncio.Event().wait()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """One engine for as long as this is entered."""
    ready: Future[tuple[asyncio.AbstractEventLoop, Callable[[], None], Stage]] = Future()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Dispatcher, "run", _nothing):
        thread = threading.Thread(target=lambda: asyncio.run(_serve(Path(folder) / "home", ready)), daemon=True)
        thread.start()
        loop, stop, stage = ready.result(PATIENCE)
        handler = _Defects(stage.defects)
        logging.getLogger().addHandler(handler)
        try:
            yield stage
        finally:
            logging.getLogger().removeHandler(handler)
            loop.call_soon_threadsafe(stop)
            thread.join(PATIENCE)


async def _serve(home: Path, ready: Future[tuple[asyncio.AbstractEventLoop, Callable[[], None], Stage]]) -> None:
    try:
        agents = {"shell": AgentSettings(mcp=True), "claude": AgentSettings(command=["false"])}
        settings = Settings(agents=agents, mcp=McpSettings(calls=1_000_000, children=50), default_agent="shell")
        async with serving(home, settings) as engine, serving_agents(engine):
            await _attempted(engine)
            app = make_app(engine)
            server = _Server(_config(app, _OwnersOnly))
            with listening(engine.home, SOCKET) as listener:
                serving_it = asyncio.create_task(server.serve(sockets=[listener]))
                await server.answering.wait()
                routes = [
                    (method, route.path)  # type: ignore[attr-defined]
                    for route in app.routes
                    for method in sorted((route.methods or set()) - {"HEAD"})  # type: ignore[attr-defined]
                ]
                over = asyncio.Event()
                ready.set_result((asyncio.get_running_loop(), over.set, Stage(home, routes)))
                await over.wait()
                engine.hub.close()
                server.quit()
                await serving_it
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
        raise


async def _attempted(engine: Engine) -> None:
    """Jobs to ask about, and an attempt that holds a capability, of which no process was started."""
    await engine.submit(Wanted([JobSpec(prompt="true", title=f"job {number}") for number in range(3)], batch="first"))
    (row,) = await engine.store.read.rows([1])
    (claim,) = await engine.store.write(lambda tx: claims.claim(tx, [row], lambda _: False, "boot"))
    engine.tools._grants.renew(claim, frozenset(Tool), hashed(TOKEN))
