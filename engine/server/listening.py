"""UNIX sockets of a home, for its owner alone."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def listening(home: Path, name: str) -> Iterator[socket.socket]:
    """A socket of a home. The caller holds the home's lock, so a socket found is a dead one."""
    with short_path(home, name) as path:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(512)
        try:
            yield listener
        finally:
            listener.close()
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def short_path(home: Path, name: str) -> Iterator[Path]:
    """A socket's path by way of an open directory: the address of a UNIX socket is at most 107 bytes long."""
    fd = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{fd}") / name
    finally:
        os.close(fd)
