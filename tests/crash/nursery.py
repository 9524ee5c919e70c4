"""Engines for a test to start and to kill: the test's side of the foundry."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.crash.foundry import Said, Wanted

TREE = Path(__file__).parents[2]


@dataclass(slots=True)
class Engine:
    """One engine process, from its birth to its end."""

    pid: int
    ready: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Whether it came to answer."""
    dead: asyncio.Future[Said] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it is known to be dead: its number may soon be another's."""
        if not self.dead.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """Starts one engine after the other. As a context, it ends the foundry and what still runs of it."""

    def __init__(self) -> None:
        self._foundry: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._engine: Engine | None = None

    async def __aenter__(self) -> Self:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        self._foundry = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.foundry",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=TREE, env=own,
        )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._foundry is not None
        assert self._foundry.stdin is not None
        if self._engine is not None:
            self._engine.send(signal.SIGKILL)
            await self._engine.dead
        self._foundry.stdin.close()
        await self._foundry.wait()

    async def bear(self, wanted: Wanted) -> Engine:
        """Start an engine. The one before it has to be dead."""
        assert self._foundry is not None
        assert self._foundry.stdin is not None
        assert self._engine is None or self._engine.dead.done()
        self._foundry.stdin.write(msgspec.json.encode(wanted) + b"\n")
        born = await self._hear()
        assert born.what == "born", born
        self._engine = Engine(born.pid)
        self._listening = asyncio.create_task(self._listen(self._engine), name="nursery")
        return self._engine

    async def _listen(self, engine: Engine) -> None:
        said = await self._hear()
        if said.what == "ready":
            engine.ready.set_result(True)
            said = await self._hear()
        else:
            engine.ready.set_result(False)
        engine.dead.set_result(said)

    async def _hear(self) -> Said:
        assert self._foundry is not None
        assert self._foundry.stdout is not None
        line = await self._foundry.stdout.readline()
        assert line, "the foundry has ended"
        return msgspec.json.decode(line, type=Said)
