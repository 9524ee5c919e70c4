"""Files of a run, read as they were written even where they are kept as gzip by now."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from engine.runner.run_dir import open_regular

logger = logging.getLogger(__name__)

SUFFIX = ".gz"
PIECE_BYTES = 1 << 16


def kept_as(path: Path) -> Path:
    """Where a file of a run is once it is compressed."""
    return path.with_name(path.name + SUFFIX)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | None]:
    """A run's file from its beginning; None where there is none in either form.

    While both are there, a crash has come between: the one as it was written is whole for certain.
    """
    fd = open_regular(path)
    if fd is not None:
        with os.fdopen(fd, "rb") as file:
            yield file
        return
    fd = open_regular(kept_as(path))
    if fd is None:
        yield None
        return
    with os.fdopen(fd, "rb") as raw, gzip.GzipFile(fileobj=raw) as file:
        yield cast(BinaryIO, file)


async def go_to(file: BinaryIO, offset: int) -> None:
    """Go on from an offset in what was written. In gzip, all before it has to be read: that is done in a thread."""
    if isinstance(file, gzip.GzipFile):
        await asyncio.to_thread(_skip, file, offset)
    else:
        file.seek(offset)


def _skip(file: BinaryIO, offset: int) -> None:
    while offset > 0 and (data := _read(file, min(offset, PIECE_BYTES))):
        offset -= len(data)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file, piece by piece."""
    while data := _read(file, PIECE_BYTES):
        yield data


def _read(file: BinaryIO, count: int) -> bytes:
    """A damaged gzip ends where its damage begins: what comes before can still be read."""
    try:
        return file.read(count)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        logger.warning("%s is damaged: %s", getattr(file, "name", "a run's file"), error)
        return b""


def last_bytes(path: Path, count: int) -> tuple[bytes, int]:
    """The last bytes of a run's file, and the offset at which they begin."""
    with opened(path) as file:
        if file is None:
            return b"", 0
        if not isinstance(file, gzip.GzipFile):
            start = max(0, os.fstat(file.fileno()).st_size - count)
            file.seek(start)
            return file.read(count), start
        held: deque[bytes] = deque()
        size = kept = 0
        for data in pieces(file):
            held.append(data)
            size += len(data)
            kept += len(data)
            while kept - len(held[0]) >= count:
                kept -= len(held.popleft())
        data = b"".join(held)[-count:]
        return data, size - len(data)
