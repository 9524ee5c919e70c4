"""Run files of attempts that have ended: compressed after a while, and removed where the settings say so."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import BinaryIO

from engine.errors import HeadwayError
from engine.runner.run_dir import open_regular, run_dir
from engine.upkeep.files import remove_tree, size_of, sync_directory
from engine.upkeep.kept import kept_as

logger = logging.getLogger(__name__)

SMALLEST = 4_096  #: bytes; a file of one block gives nothing back
PIECE_BYTES = 1 << 20
PAGE = 5_000  #: jobs of one look into the database
ATTEMPTS = 50_000  #: attempts of one look, which reads all of them to find the first that ended
LEVEL = 6
GZIP = 16 + zlib.MAX_WBITS  #: what zlib calls a stream with gzip's head and checksum

_ENDED_ATTEMPTS = (
    "SELECT ended_at, id, job, number FROM attempts WHERE ended_at <= ? AND (ended_at, id) > (?, ?) "
    "ORDER BY ended_at, id LIMIT ?"
)
_ENDED_JOBS = (
    "SELECT ended_at, id FROM jobs WHERE ended_at IS NOT NULL "
    "AND ended_at >= ? AND ended_at <= ? AND (ended_at, id) > (?, ?) ORDER BY ended_at, id LIMIT ?"
)
_ATTEMPTS = (
    "SELECT job, number FROM attempts WHERE job IN (SELECT value FROM json_each(?)) AND ended_at IS NOT NULL "
    "ORDER BY job, number"
)


class ChangedError(HeadwayError):
    """A file that should have been finished was still being written."""


@dataclass(slots=True)
class Turn:
    """How long one round may work. `stopped` ends it at once: the engine is asked to stop."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    stopped: Event = field(default_factory=Event)
    _end: float | None = None

    def over(self) -> bool:
        if self._end is None:
            self._end = self.clock() + self.seconds
        return self.stopped.is_set() or self.clock() >= self._end


@dataclass(slots=True)
class Marks:
    """How far earlier rounds have come, so that no round looks at everything again. Not kept across a restart."""

    compressed: tuple[int, int] = (0, 0)
    removed: tuple[int, int] = (0, 0)


def compress_old(connection: sqlite3.Connection, home: Path, before: int, marks: Marks, turn: Turn) -> int:
    """Compress the output of attempts that ended before a time. Returns how many bytes that saved."""
    saved = 0
    while not turn.over():
        rows = connection.execute(_ENDED_ATTEMPTS, (before, *marks.compressed, ATTEMPTS)).fetchall()
        for ended_at, attempt, job, number in rows:
            run = run_dir(home, job, number)
            for path in (run.stdout, run.stderr):
                saved += _compressed(path, turn)
            if turn.stopped.is_set():
                return saved  # in the middle of a file: that one's turn comes again
            marks.compressed = (ended_at, attempt)
            if turn.over():
                return saved
        if len(rows) < ATTEMPTS:
            break
    return saved


def _compressed(path: Path, turn: Turn) -> int:
    try:
        return compress(path, turn.stopped.is_set)  # a large file may outlast a turn, and is finished
    except (OSError, ChangedError) as error:
        logger.warning("%s stays as it is: %s", path, error)
        return 0


def compress(path: Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Keep a finished file as gzip. Returns how many bytes that saved; 0 where it was stopped or not worth it.

    At every moment one of the two is whole: the new one has its name only once it is on the disk, and only then the
    old one goes. Raises `OSError`, or `ChangedError` for a file that grows meanwhile.
    """
    fd = open_regular(path)
    if fd is None:
        return 0
    with os.fdopen(fd, "rb") as source:
        before = os.fstat(fd)
        if before.st_size < SMALLEST:
            return 0
        target = kept_as(path)
        temp = target.with_name(f"{target.name}.tmp")
        try:
            size = _write(_deflated(source, stop), temp, before)
            if stop():
                return 0
            if os.fstat(fd).st_size != before.st_size:
                raise ChangedError("it is still being written")
            temp.rename(target)
        finally:
            temp.unlink(missing_ok=True)
        sync_directory(path.parent)
        path.unlink()
        sync_directory(path.parent)
    return before.st_size - size


def _deflated(source: BinaryIO, stop: Callable[[], bool]) -> Iterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    while not stop() and (data := source.read(PIECE_BYTES)):
        yield packer.compress(data)
    yield packer.flush()


def _write(parts: Iterator[bytes], temp: Path, like: os.stat_result) -> int:
    with contextlib.suppress(FileNotFoundError):
        temp.unlink()
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        size = sum(file.write(part) for part in parts)
        file.flush()
        os.utime(fd, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(fd)
    return size


def remove_old(connection: sqlite3.Connection, home: Path, before: int, marks: Marks, turn: Turn) -> int:
    """Remove the run directories of jobs that ended before a time. Returns how many."""
    removed = 0
    while not turn.over():
        jobs = connection.execute(_ENDED_JOBS, (marks.removed[0], before, *marks.removed, PAGE)).fetchall()
        ids = "[" + ",".join(str(job) for _, job in jobs) + "]"
        for job, number in connection.execute(_ATTEMPTS, (ids,)).fetchall():
            if turn.over():
                return removed
            removed += remove_run(home, job, number)
        if jobs:
            marks.removed = (jobs[-1][0], jobs[-1][1])
        if len(jobs) < PAGE:
            break
    return removed


def remove_run(home: Path, job: int, number: int) -> bool:
    """Remove the directory of one attempt, and its job's where nothing else is in it."""
    run = run_dir(home, job, number).path
    there = run.is_dir() and not run.is_symlink()
    if there:
        try:
            remove_tree(run)
        except OSError as error:
            logger.warning("%s cannot be removed: %s", run, error)
            return False
    with contextlib.suppress(OSError):
        run.parent.rmdir()
    return there


def run_bytes(home: Path, job: int, number: int) -> int:
    """How much room the directory of one attempt takes."""
    return size_of(run_dir(home, job, number).path)
