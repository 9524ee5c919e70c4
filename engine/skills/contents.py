"""The files of a skill: which there are, and a digest of all. Nothing outside of its folder is ever read."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from engine.skills.reading import BadSkillError

FILES_LIMIT = 200
FILE_LIMIT = 2 << 20  #: bytes of one file
TOTAL_LIMIT = 8 << 20  #: bytes of all: a skill is copied for every job that is given it
DEPTH_LIMIT = 6
#: What a checkout or an interpreter leaves in a folder; it is no part of the skill.
LEFT_OUT = frozenset({".git", ".hg", "__pycache__", ".DS_Store"})


@dataclass(frozen=True, slots=True)
class File:
    """A file of a skill. `name` is its path below the folder."""

    name: str
    data: bytes
    program: bool = False


def read_files(folder: Path) -> list[File]:
    """All files of a skill by name. Raises `BadSkillError` for what must not, or cannot, be copied."""
    root = folder.resolve()
    found: list[File] = []
    total = 0
    waiting = [(root, 0)]
    while waiting:
        directory, depth = waiting.pop()
        for entry in sorted(os.scandir(directory), key=lambda one: one.name):
            if entry.name in LEFT_OUT:
                continue
            path = Path(entry.path)
            name = str(path.relative_to(root))
            file = _within(path, root, name) if entry.is_symlink() else path
            mode = file.stat().st_mode
            if stat.S_ISDIR(mode):
                if entry.is_symlink():
                    raise BadSkillError(f"{name} is a link to a folder: copy it")
                if depth == DEPTH_LIMIT:
                    raise BadSkillError(f"{name} is more than {DEPTH_LIMIT} folders deep")
                waiting.append((path, depth + 1))
                continue
            if not stat.S_ISREG(mode):
                raise BadSkillError(f"{name} is no regular file")
            data = _read(file, name)
            total += len(data)
            if len(found) == FILES_LIMIT:
                raise BadSkillError(f"it has more than {FILES_LIMIT} files")
            if total > TOTAL_LIMIT:
                raise BadSkillError(f"its files are larger than {TOTAL_LIMIT >> 20} MiB together")
            found.append(File(name, data, bool(mode & stat.S_IXUSR)))
    return sorted(found, key=lambda one: one.name)


def digest(files: list[File]) -> str:
    """Of names, contents and which files are programs."""
    whole = hashlib.sha256()
    for one in files:
        line = f"{hashlib.sha256(one.data).hexdigest()} {'x' if one.program else '-'} {one.name}\n"
        whole.update(line.encode(errors="surrogateescape"))
    return whole.hexdigest()


def _within(path: Path, root: Path, name: str) -> Path:
    """Where a link leads, if that is inside of the skill."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise BadSkillError(f"{name} is a link that leads nowhere") from None
    if not target.is_relative_to(root):
        raise BadSkillError(f"{name} is a link that leads out of the skill")
    return target


def _read(file: Path, name: str) -> bytes:
    """Opened once, so that what is measured is what is read."""
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as opened:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadSkillError(f"{name} is no regular file")
        data = opened.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        raise BadSkillError(f"{name} is larger than {FILE_LIMIT >> 20} MiB")
    return data
