"""A pseudo-terminal around a program: every byte that it writes, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import psutil
import pyte

_PIECE = 1 << 16


class Terminal:
    """Runs a program at `columns` x `rows` cells. Use as a context manager; leaving it ends the program."""

    def __init__(
        self, command: Sequence[str], columns: int, rows: int, env: dict[str, str], *, screen: bool = False
    ) -> None:
        self._command, self._size, self._env = command, (columns, rows), env
        self.bytes = 0
        self.written = bytearray()
        """What it wrote since the last `clear`."""
        self.screen = pyte.Screen(columns, rows) if screen else None
        self._stream = pyte.ByteStream(self.screen) if self.screen is not None else None

    def __enter__(self) -> Terminal:
        self._master, slave = pty.openpty()
        columns, rows = self._size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "SSH_CONNECTION", "COLUMNS", "LINES")}
        env = {**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **self._env}
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            self._command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=env
        )
        os.close(slave)
        self.process = psutil.Process(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def clear(self) -> None:
        self.written.clear()

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, seconds: float) -> bool:
        """Take what comes within so long; whether anything did."""
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self._master, _PIECE)
        except OSError:
            return False
        self.bytes += len(data)
        self.written += data
        if self._stream is not None:
            self._stream.feed(data)
        return bool(data)

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            came = self.read(min(0.5, end - time.monotonic()))
            if not came and (time.monotonic() > end or self._process.poll() is not None):
                raise TimeoutError(f"never came true; the last it wrote: {bytes(self.written[-500:])!r}")

    def says(self, text: str, seconds: float = 60.0) -> None:
        """Wait until it has written these words since the last `clear`."""
        wanted = text.encode()
        self.until(lambda: wanted in self.written, seconds)

    def settle(self, quiet: float = 0.6, most: float = 20.0) -> None:
        """Read until it has been silent for so long."""
        end = time.monotonic() + most
        while self.read(quiet) and time.monotonic() < end:
            pass

    def listen(self, seconds: float) -> int:
        """Read for so long; the bytes that came."""
        before, end = self.bytes, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)
        return self.bytes - before

    def cost(self, keys: str, quiet: float = 0.35) -> int:
        """The bytes that a key brings, until it is silent."""
        before = self.bytes
        self.press(keys)
        self.settle(quiet)
        return self.bytes - before

    def latency(self, keys: str) -> float:
        """Seconds from a key to the first byte that it brings. The terminal has to be silent."""
        self.press(keys)
        start = time.monotonic()
        self.read(10.0)
        return time.monotonic() - start
