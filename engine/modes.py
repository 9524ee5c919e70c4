"""Who may read and write what is the engine's: it mends its own modes, and refuses what somebody else could write.

Nothing below the home is reached but through it, so that its own mode and those of the entries in it decide.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RefusedError

OURS = 0o700  #: the owner's bits of a mode; the others may do nothing


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is open, or somebody else's."""

    path: Path
    found: str
    mend: str
    mode: int | None = None
    """What a start of the engine gives it; None where that is for a person to do, and the engine does not start."""


def faults(home: Path, uid: int) -> Iterator[Fault]:
    """What is wrong with a home and what lies in it, seen by a user. Links are left alone: they are nobody's way in."""
    yield from _of(home, uid)
    with contextlib.suppress(OSError):
        for entry in sorted(home.iterdir()):
            kind = entry.lstat().st_mode
            if stat.S_ISDIR(kind) or stat.S_ISREG(kind):
                yield from _of(entry, uid)


def _of(path: Path, uid: int) -> Iterator[Fault]:
    try:
        there = path.lstat()
    except OSError:
        return
    mode = stat.S_IMODE(there.st_mode)
    if there.st_uid != uid:
        yield Fault(path, f"{path} belongs to uid {there.st_uid}, not to uid {uid}", f"chown -R {uid} {path}")
    elif mode & ~OURS & 0o777:
        yield Fault(path, f"{path} is open to others (mode {mode:o})", f"chmod go= {path}", mode & OURS)


def mend(home: Path) -> list[str]:
    """Close what is open in a home; returns what was. Raises `RefusedError` for what is somebody else's."""
    mended = []
    for fault in faults(home, os.geteuid()):
        if fault.mode is None:
            raise RefusedError(f"{fault.found}: {fault.mend}, or name another home with --home")
        with contextlib.suppress(FileNotFoundError):  # a log that is put aside meanwhile
            fault.path.chmod(fault.mode)
            mended.append(fault.found)
    return mended


def foreign(path: Path, uid: int) -> str | None:
    """Why a file of settings may not be believed: others can write it, and it names programs to run. None where not."""
    for one, sticky in ((path, 0), (path.parent, stat.S_ISVTX)):
        try:
            there = one.stat()
        except OSError:
            return None
        if there.st_uid not in (uid, 0):
            return f"{one} belongs to uid {there.st_uid}, who could have the engine run anything: chown {uid} {one}"
        if there.st_mode & stat.S_IWOTH and not there.st_mode & sticky:
            return f"anybody can write {one}, and have the engine run anything: chmod o-w {one}"
    return None


def refuse_foreign(path: Path) -> None:
    """Raises `RefusedError` for a file of settings that others can write."""
    if (why := foreign(path, os.geteuid())) is not None:
        raise RefusedError(why)
