"""This end of the line: a socket as an engine has one, and behind it ssh and the engine on the other machine.

Whatever reaches an engine by its home reaches that one the same way. The ssh is the user's own, with its config, keys
and known hosts. The first one may ask at the terminal for a password or about a host key; those after a lost line ask
nothing, because the terminal is in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec

from engine.errors import HeadwayError, NoEngineError
from engine.foreign import NOT_JSON
from engine.home import SOCKET
from engine.remote.place import Place
from engine.remote.proxy import GREETING, Greeting
from engine.remote.trunk import Stream, Trunk
from engine.server.client import Client
from engine.server.listening import listening

_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  #: seconds between the ends of lost lines and new attempts
_GREETING_SECONDS = 30.0  #: for a line that asks nothing to come up
_END_SECONDS = 1.0  #: that an ssh has to end by itself once its pipes are closed
_NOISE_MOST = 64 << 10  #: bytes that a login shell may say before the greeting
_SAID_MOST = 4 << 10  #: bytes of ssh's own words that are kept


class Line:
    """The way to one place. `connect` brings it up; after that it brings itself up again when somebody asks for it."""

    def __init__(self, place: Place, *, start: bool = False) -> None:
        self.place = place
        self.why = ""
        """Why there is no line now, or what the far end refused last."""
        self.bytes = (0, 0)
        """Read and written, on lines that are over."""
        self._start = start
        self._trunk: Trunk | None = None
        self._running: asyncio.Task[None] | None = None
        self._coming: asyncio.Task[Trunk] | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def crossed(self) -> tuple[int, int]:
        """Bytes that have come and gone over the line, before ssh's own packing."""
        trunk = self._trunk
        return (self.bytes[0] + trunk.read, self.bytes[1] + trunk.written) if trunk else self.bytes

    @property
    def words(self) -> str:
        """Why what was asked last was not answered."""
        if self._trunk is not None:
            return self._trunk.refusal or f"the line to {self.place.host} was lost in the middle of an answer"
        return self.why or f"the line to {self.place.host} is lost"

    async def connect(self, *, ask: bool) -> None:
        """Bring the line up. With `ask`, ssh may use the terminal. Raises `NoEngineError` with ssh's own words."""
        self._trunk = await self._call(ask=ask)
        self._running = asyncio.create_task(self._run(self._trunk))

    async def close(self) -> None:
        for task in (self._coming, self._running):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, over a new line where the old one is lost and it is time to try."""
        if self._trunk is not None and self._trunk.over and self._running is not None:
            await asyncio.wait({self._running})  # its ssh is still being seen to the end
        if self._trunk is None:
            await self._again()
        if self._trunk is None:
            writer.close()
        else:
            self._trunk.carry((reader, writer))

    async def _again(self) -> None:
        loop = asyncio.get_running_loop()
        if self._coming is None:
            if loop.time() < self._not_before:
                return
            self._coming = asyncio.create_task(self._call(ask=False))
        coming = self._coming
        try:
            trunk = await asyncio.shield(coming)
        except HeadwayError as error:
            if self._coming is coming:
                self.why, self._coming = error.message, None
                self._wait()
            return
        if self._coming is coming:
            self._coming, self._trunk = None, trunk
            self._running = asyncio.create_task(self._run(trunk))

    def _wait(self) -> None:
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + pause

    async def _run(self, trunk: Trunk) -> None:
        try:
            await trunk.run()
            self.why = f"{self.place.host} ended the line"
        except HeadwayError as error:
            self.why = f"{self.place.host}: {error.message}"
        finally:
            self.bytes = self.crossed
            self._trunk = None
            if trunk.read:
                self._failures = 0
            self._wait()

    async def _call(self, *, ask: bool) -> Trunk:
        command = self.place.command("proxy", *(["--start"] if self._start else []))
        options = ["-T", "-o", "ConnectTimeout=15"] if ask else ["-T", "-o", "ConnectTimeout=15", "-o", "BatchMode=yes"]
        try:
            process = await asyncio.create_subprocess_exec(
                *self.place.argv(command, *options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=not ask,
            )
        except OSError as error:
            raise NoEngineError(f"{self.place.ssh[0]} cannot be started: {error.strerror}") from None
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        said = _Said(process.stderr)
        try:
            async with asyncio.timeout(None if ask else _GREETING_SECONDS):
                greeted = await _greeting(process.stdout)
        except (TimeoutError, asyncio.CancelledError) as error:
            await _ended(process, 0.0)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise NoEngineError(f"{self.place.host} does not answer") from None
        if greeted is None:
            await _ended(process)
            raise NoEngineError(self._failure(await said.text(), process.returncode))
        return _Ssh((process.stdout, process.stdin), process)

    def _failure(self, said: str, code: int | None) -> str:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        last = lines[-1].removeprefix("headway: ") if lines else f"ssh ended with exit code {code}"
        if code in (126, 127):
            last += f"; where {self.place.headway} is on it: ssh://{self.place.host}?headway=PATH"
        elif "Permission denied" in last:
            last += "; log in to it with ssh once, or let ssh find a key"
        return f"{self.place.host}: {last}"


class _Said:
    """What a program says on standard error, its end kept."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._text = b""
        self._task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(1 << 10):
            self._text = (self._text + data)[-_SAID_MOST:]

    async def text(self) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._task, 1.0)
        return self._text.decode(errors="replace")


class _Ssh(Trunk):
    """A trunk over the pipes of an ssh, which ends with it."""

    def __init__(self, stream: Stream, process: asyncio.subprocess.Process) -> None:
        super().__init__(stream)
        self._process = process

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await _ended(self._process)


async def _ended(process: asyncio.subprocess.Process, within: float = _END_SECONDS) -> None:
    """See to the end of an ssh whose pipes are closed, or which is not wanted any more."""
    try:
        async with asyncio.timeout(within):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _greeting(stream: asyncio.StreamReader) -> Greeting | None:
    """The far end's first line; None where the stream ends without one. What stands before it is skipped."""
    heard = b""
    while len(heard) < _NOISE_MOST:
        data = await stream.read(1)  # the frames follow at once, and are not ours to read
        if not data:
            return None
        heard += data
        if data == b"\n" and GREETING in heard:
            try:
                return msgspec.json.decode(heard.rpartition(GREETING)[2], type=Greeting)
            except NOT_JSON:
                return None
    return None


class FarClient(Client):
    """The client of an engine elsewhere, whose errors speak of the line."""

    def __init__(self, home: Path, line: Line) -> None:
        super().__init__(home)
        self.line = line

    def lost(self, error: httpx.TransportError) -> HeadwayError:
        if isinstance(error, httpx.TimeoutException):
            return super().lost(error)
        return NoEngineError(self.line.words)


@asynccontextmanager
async def far_client(place: Place, *, start: bool = False) -> AsyncIterator[FarClient]:
    """A client of the engine there. With `start`, one is started there where none serves.

    Raises `NoEngineError` where ssh does not get there.
    """
    line = Line(place, start=start)
    with tempfile.TemporaryDirectory(prefix="headway-ssh-") as name:
        home = Path(name)
        with listening(home, SOCKET) as listener:
            server = await asyncio.start_unix_server(line.carry, sock=listener)
            try:
                await line.connect(ask=True)
                async with FarClient(home, line) as client:
                    yield client
            finally:
                server.close()
                await line.close()
