"""The command line in a process of its own, without the third of a second that Python takes to load it each time.

One process loads Headway once and forks itself for every command: what runs is a real process with its own
environment, directory, descriptors and session, and a real exit code. What a test has to say of the start itself (the
interpreter, its encoding, what is imported) it says with a real start: `subprocess` and `sys.executable`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import console.cli
import engine.server
from engine.agents.llm import call
from tests import fresh

HEADWAY = console.cli.__name__
CALL = call.__name__  #: a plain call of a model
#: What they load, also what they and their libraries load only with their first call.
LOADS = {
    HEADWAY: (HEADWAY, engine.server.__name__, "typer._adapters", "httpcore._async.connection_pool"),
    CALL: (
        "anthropic",
        "openai",
        "google.genai",
        *(f"engine.agents.llm.{api}" for api in ("messages", "gemini", "chat")),
    ),
}
REQUEST_BYTES = 1 << 20
REAL_START = "HEADWAY_TESTS_START_REALLY"  #: in an environment: the kernel is to know it as the engine's own
_HIGH = 700  #: descriptors that are on their way to their places are kept above those places
_STATUS = 4  #: bytes of a pid, and of a status


@dataclass(slots=True)
class Process:
    """A forked command: as much of `subprocess.Popen` as the tests use."""

    pid: int
    args: Sequence[str]
    _told: int
    returncode: int | None = None
    _waiting: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal. Raises `subprocess.TimeoutExpired`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            if not self._waiting.get_map():
                self._waiting.register(self._told, selectors.EVENT_READ)
            if self._waiting.select(timeout):
                status = os.read(self._told, _STATUS)
                assert len(status) == _STATUS, "the process that forks is gone"
                self._waiting.close()
                os.close(self._told)
                self.returncode = os.waitstatus_to_exitcode(int.from_bytes(status))
        return self.returncode


class Forks:
    """The process that forks, seen from the tests. It ends with the one that made it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * REQUEST_BYTES)
        with theirs:
            subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def start(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        streams: tuple[int, int, int],
        pass_fds: Sequence[int] = (),
        new_session: bool = False,
        cwd: Path | None = None,
        program: str = HEADWAY,
    ) -> Process:
        """Run a program with these arguments. `streams`: its standard input, output and error."""
        reading, writing = os.pipe()
        try:
            request = {
                "program": program,
                "arguments": [*arguments],
                "env": dict(os.environ if env is None else env),
                "cwd": str(cwd or Path.cwd()),
                "places": [0, 1, 2, *pass_fds],
                "session": new_session,
            }
            data = json.dumps(request, ensure_ascii=True).encode()
            assert len(data) < REQUEST_BYTES, "no command line is that long"
            socket.send_fds(self._line, [data], [writing, *streams, *pass_fds])
        finally:
            os.close(writing)
        pid = int.from_bytes(os.read(reading, _STATUS))
        assert pid, "the process that forks is gone"
        return Process(pid, [program, *arguments], reading)

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: str | None = None,
        timeout: float,
        env: Mapping[str, str],
        cwd: Path | None = None,
        program: str = HEADWAY,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, and give what it printed. Raises `subprocess.TimeoutExpired`."""
        streams = tuple(os.memfd_create(name) for name in ("stdin", "stdout", "stderr"))
        try:
            os.write(streams[0], (stdin or "").encode())
            os.lseek(streams[0], 0, os.SEEK_SET)
            process = self.start(
                arguments, env=env, streams=(streams[0], streams[1], streams[2]), cwd=cwd, program=program
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            said = [os.pread(fd, os.fstat(fd).st_size, 0).decode() for fd in streams[1:]]
        finally:
            for fd in streams:
                os.close(fd)
        return subprocess.CompletedProcess([*process.args], code, *said)


@functools.cache
def forks() -> Forks:
    """The one of this process."""
    return Forks()


def popen(command: Sequence[str], **options: Any) -> Process | subprocess.Popen[Any]:
    """In place of `subprocess.Popen` where Headway starts itself; everything else is started as it is."""
    ours = tuple(command[:3]) == (sys.executable, "-m", "console.cli") and subprocess.PIPE not in options.values()
    if not ours or REAL_START in (options.get("env") or ()):
        return subprocess.Popen(command, **options)
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        given = [options.get(name) for name in ("stdin", "stdout", "stderr")]
        streams = [
            place
            if one is None
            else nothing
            if one == subprocess.DEVNULL
            else one
            if type(one) is int
            else one.fileno()
            for place, one in enumerate(given)
        ]
        return forks().start(
            command[3:],
            env=options.get("env"),
            streams=(streams[0], streams[1], streams[2]),
            pass_fds=options.get("pass_fds", ()),
            new_session=options.get("start_new_session", False),
        )
    finally:
        os.close(nothing)


def _serve(line: socket.socket) -> None:
    """Fork for each request, and tell how each of the forks ended."""
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told: dict[int, int] = {}
    loaded = {HEADWAY}
    with selectors.DefaultSelector() as events:
        events.register(line, selectors.EVENT_READ)
        events.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fd == woken:
                    os.read(woken, 1024)
                    _reap(told)
                    continue
                data, fds, _flags, _ = socket.recv_fds(line, REQUEST_BYTES, 64)
                if not data:
                    return
                status, *given = fds
                request = json.loads(data)
                if request["program"] not in loaded:
                    _load(request["program"])
                    loaded.add(request["program"])
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _become(request, given, [line.fileno(), woken, waker, status, *told.values()])
                told[pid] = status
                os.write(status, pid.to_bytes(_STATUS))
                for fd in given:
                    os.close(fd)


def _reap(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        if (line := told.pop(pid, None)) is not None:
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                os.write(line, status.to_bytes(_STATUS))
            os.close(line)


def _become(request: dict[str, Any], given: list[int], ours: list[int]) -> None:
    """Be the command, in the forked process. Does not return."""
    code = 70
    try:
        for fd in ours:
            os.close(fd)
        if request["session"]:
            os.setsid()
        os.environ.clear()
        os.environ.update(request["env"])
        time.tzset()
        os.chdir(request["cwd"])
        high = [_moved(fd, _HIGH + place) for place, fd in enumerate(given)]
        for fd, place in zip(high, request["places"], strict=True):
            os.dup2(fd, place, inheritable=True)
            os.close(fd)
        for name, place, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
            setattr(sys, name, open(place, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        if request["session"] and sys.stdin.isatty():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # as a login does, so that the loss of the terminal is told
        sys.argv = [request["program"], *request["arguments"]]
        try:
            code = _run(request["program"], request["arguments"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def _moved(fd: int, place: int) -> int:
    os.dup2(fd, place, inheritable=False)
    os.close(fd)
    return place


def _run(program: str, arguments: list[str]) -> int:
    if program == CALL:
        return call.main(arguments)
    console.cli.main()
    return 0


def _load(program: str) -> None:
    """Load what a program loads, once: all of it but what reads the environment when it is imported."""
    for name in LOADS[program]:
        module = import_module(name)
        if name in (console.cli.__name__, engine.server.__name__):
            for found in pkgutil.walk_packages(module.__path__, f"{name}."):
                if not found.name.endswith("__main__"):
                    import_module(found.name)
    gc.freeze()  # or each fork copies every page that its collector looks at


if __name__ == "__main__":
    fresh.hasten()
    _load(HEADWAY)
    _serve(socket.socket(fileno=int(sys.argv[1])))
