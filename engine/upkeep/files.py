"""Files that are whole or not there: written beside, synced, renamed. And trees that are removed for good.

Until it is renamed, a file is a draft: hidden, and named after the process that writes it, so that it is known to be
nobody's any more once that process is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import RefusedError
from engine.home import LOCK

_DRAFT = re.compile(r"\.(.+)\.(\d{1,10})\.(?:tmp|db|db-journal|db-wal|db-shm)")


def refuse_in_home(file: Path, home: Path) -> None:
    """Refuse a place among the files of this or any other home: there it could take the place of a database."""
    if (file.parent / LOCK).exists() or file.parent.resolve() == home.resolve():
        raise RefusedError(f"{file} would lie among the files of a home; name one elsewhere")


def draft_of(target: Path, suffix: str) -> Path:
    """Where this process writes what will be the target."""
    return target.with_name(f".{target.name}.{os.getpid()}{suffix}")


def clear_drafts(directory: Path, name: str | None = None) -> None:
    """Remove what processes that were killed had begun to write, of one file or, in a directory of ours, of all."""
    for entry in directory.iterdir():
        found = _DRAFT.fullmatch(entry.name)
        if found and name in (None, found[1]) and not _lives(int(found[2])):
            entry.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """A new file for the owner alone that takes the target's place once the block has ended well; else nothing."""
    clear_drafts(target.parent, target.name)
    temp = draft_of(target, ".tmp")
    with contextlib.suppress(FileNotFoundError):
        temp.unlink()
    fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temp.rename(target)
        sync_directory(target.parent)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Make what was renamed in a directory survive a power loss."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def size_of(tree: Path) -> int:
    """Bytes of the plain files in a tree, without following links; 0 where there is none."""
    total = 0
    for directory, _, names in os.walk(tree):
        for name in names:
            with contextlib.suppress(OSError):
                found = (Path(directory) / name).lstat()
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def remove_tree(tree: Path) -> None:
    """Remove a directory and all in it, what its own modes forbid too. Nothing to do where it is not there.

    Raises `OSError` for what cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tree, onerror=_open_up)


def _open_up(function: Any, path: str, failure: Any) -> None:
    """Agents leave directories behind that may not be written; a module cache of Go is one."""
    if isinstance(failure[1], FileNotFoundError):
        return
    if not isinstance(failure[1], PermissionError):
        raise failure[1]
    place = Path(path)
    for one in (place.parent, place):
        if not one.is_symlink() and one.is_dir():
            one.chmod(0o700)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
