"""Covers secrets in the files that a process writes itself, where they stand and as soon as they are read.

An agent outlives its engine, so it writes straight into its files, and no pipe with a process of ours at its other end
stands between: that process would be one more to lose, and 500 of them are 500 interpreters. The follower has each
piece within a tick; what is a secret in it is written over with as many other bytes. So no offset moves, the agent goes
on appending, and what is read again after a crash is covered then: nothing but the file itself has to be remembered.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from engine.redact import Masker, Secrets
from engine.runner.run_dir import open_regular

logger = logging.getLogger(__name__)

READ_BYTES = 1 << 18  #: of one file at once


class MaskedFile:
    """A file that may grow, and may not exist yet."""

    def __init__(self, path: Path, secrets: Secrets) -> None:
        self.path = path
        self._masker = Masker(secrets.spans)
        self._offset = 0
        self._own: int | None = None
        self._broken = False

    def catch_up(self, fd: int | None = None, upto: int | None = None) -> int:
        """Cover what is in the next piece; returns how many bytes that was.

        `fd`: whoever follows the file has it open. `upto`: nothing behind that offset.
        """
        room = READ_BYTES if upto is None else min(READ_BYTES, upto - self._offset)
        if self._broken or room <= 0:
            return 0
        if fd is None and self._own is None:
            self._own = open_regular(self.path)
        reading = self._own if fd is None else fd
        if reading is None:
            return 0
        try:
            data = os.pread(reading, room, self._offset)
            if data:
                self._offset += len(data)
                self._write(reading, self._masker.take(data))
            return len(data)
        except OSError as error:
            logger.warning("%s: what is secret in it cannot be covered: %s", self.path, error.strerror)
            self._broken = True
            return 0

    def close(self) -> None:
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def _write(self, reading: int, covers: list[tuple[int, bytes]]) -> None:
        covers = [(at, one) for at, one in covers if os.pread(reading, len(one), at) != one]
        if not covers:
            return
        writing = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            ours, theirs = os.fstat(writing), os.fstat(reading)
            same = (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
            if not stat.S_ISREG(ours.st_mode) or not same or ours.st_nlink > 1:  # an agent can put a link there
                logger.warning("%s is not the file that was read: nothing is covered in it", self.path)
                self._broken = True
                return
            for at, one in covers:
                os.pwrite(writing, one, at)
        finally:
            os.close(writing)


def mask(path: Path, secrets: Secrets) -> None:
    """Cover the secrets in a file that nobody writes any more."""
    file = MaskedFile(path, secrets)
    try:
        while file.catch_up():
            pass
    finally:
        file.close()
