"""Runs commands in a workspace to find out whether the work there is right.

A check is a command line for /bin/sh in a session of its own, with nothing on its standard input. Its time is limited,
and when it has ended, however it did, all that it started is ended too: a server that a test left behind must not
answer the next one. Of what it prints the beginning and the end are kept; it cannot fill a disk or this memory.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.model import CheckResult
from engine.runner import procfs, spawn, tree
from engine.runner.tree import MARKER, Tree

HEAD_BYTES = 16 << 10  #: of a check's output: what it set out to do
TAIL_BYTES = 48 << 10  #: and how it ended, where the verdict usually stands
READ_BYTES = 64 << 10
GRACE_SECONDS = 5.0  #: between asking a check to end and killing it
NOT_FOUND = "the directory is not there any more"

#: The directory comes as a parameter: a name of any characters is then no piece of shell.
_IN_DIRECTORY = 'cd -- "$1" && exec /bin/sh -c "$2"'


@dataclass(frozen=True, slots=True)
class Check:
    """A command that has to exit with 0 within so many seconds."""

    command: str
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where checks run, and as what."""

    directory: Path
    environment: Mapping[str, str]
    marker: str
    """In the environment of every process of theirs: by it they are found again, after a crash of the engine too."""
    folder: Path | None = None
    """Where what they print is kept."""
    grace: float = GRACE_SECONDS
    confine: Callable[[Sequence[str]], list[str]] | None = None
    """Puts their command lines into a sandbox, where the work that they run is to be in one."""
    trouble: str = ""
    """Why none of them can be run here, if that is so."""


async def run_checks(
    checks: Sequence[Check],
    place: Place,
    *,
    all_of_them: bool = True,
    began: Callable[[int], None] = lambda number: None,
) -> list[CheckResult]:
    """Run checks one after the other; up to the first that fails unless `all_of_them`.

    What an engine before this one left of them is ended first. `began` is told the number of each. Raises nothing that
    comes of the checks themselves.
    """
    await tree.stop(Tree(None, place.marker, None), place.grace)
    results: list[CheckResult] = []
    for number, check in enumerate(checks, 1):
        began(number)
        results.append(await _run(check, place, number))
        if not results[-1].passed and not all_of_them:
            break
    return results


async def _run(check: Check, place: Place, number: int) -> CheckResult:
    if place.trouble:
        return CheckResult(command=check.command, code=None, took_ms=0, problem=place.trouble)
    if not place.directory.is_dir():
        return CheckResult(command=check.command, code=None, took_ms=0, problem=NOT_FOUND)
    began = time.monotonic()
    heard = _Heard()
    try:
        code, late = await _attend(check, place, heard)
    except OSError as error:
        problem = error.strerror or str(error)
        return CheckResult(command=check.command, code=None, took_ms=0, problem=problem)
    took = round((time.monotonic() - began) * 1000)
    text = heard.text()
    file = await asyncio.to_thread(_keep, place.folder, number, text)
    return CheckResult(
        command=check.command, code=code, took_ms=took, late=late, output=text, cut=heard.left_out, file=file
    )


async def _attend(check: Check, place: Place, heard: _Heard) -> tuple[int | None, bool]:
    """From the start of a check until nothing of it is left: its exit code, and whether its time was over."""
    ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(theirs, True)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    loop = asyncio.get_running_loop()
    try:
        argv = ["/bin/sh", "-c", _IN_DIRECTORY, "check", str(place.directory), check.command]
        if place.confine is not None:
            argv = place.confine(argv)
        environment = {**place.environment, MARKER: place.marker}
        pid = spawn.spawn(argv, environment, spawn.Streams(nothing, theirs, theirs))
        os.close(theirs)
        theirs = -1
        loop.add_reader(ours, heard.read, ours, loop)
        whole = Tree(procfs.identity(pid), place.marker, None)
        return await _until_over(check, place, pid, whole)
    finally:
        loop.remove_reader(ours)
        heard.read_rest(ours)
        for fd in (ours, theirs, nothing):
            if fd >= 0:
                os.close(fd)


async def _until_over(check: Check, place: Place, pid: int, whole: Tree) -> tuple[int | None, bool]:
    try:
        async with asyncio.timeout(check.seconds):
            code = await spawn.ended(pid)
    except TimeoutError:
        await tree.stop(whole, place.grace)
        await spawn.ended(pid)
        return None, True
    except BaseException:
        # The engine ends, or the operator has decided: nobody waits for a grace.
        await tree.stop(whole, 0)
        await spawn.ended(pid)
        raise
    await tree.stop(whole, place.grace)  # what it left running in the background
    return code, False


@dataclass(slots=True)
class _Heard:
    """The beginning and the end of what a check prints."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    left_out: int = 0

    def add(self, data: bytes) -> None:
        room = HEAD_BYTES - len(self.head)
        self.head += data[:room]
        self.tail += data[room:] if room > 0 else data
        if (over := len(self.tail) - TAIL_BYTES) > 0:
            del self.tail[:over]
            self.left_out += over

    def read(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        """What has come; at its end nothing is waited for any more."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            loop.remove_reader(fd)
        self.add(data)

    def read_rest(self, fd: int) -> None:
        """What stands in the pipe when all who could write into it are gone."""
        try:
            while data := os.read(fd, READ_BYTES):
                self.add(data)
        except BlockingIOError:
            return

    def text(self) -> str:
        between = f"\n... {self.left_out:,} bytes left out ...\n".encode() if self.left_out else b""
        return (bytes(self.head) + between + bytes(self.tail)).decode(errors="replace").replace("\0", "�")


def _keep(folder: Path | None, number: int, text: str) -> str:
    """Put what a check printed beside the run's other files. That it cannot be is no verdict on the work."""
    if folder is None:
        return ""
    name = f"check-{number}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    except OSError:
        return ""
    return name
