"""What memory keeps in a home, by name."""

from __future__ import annotations

import contextlib
from pathlib import Path

DATABASE = "memory.db"
FOLDER = "memory"  #: the core files, and what can be made anew
LANCE = "memory.lance"
MATRIX = "vectors.f32"
ROWS = "vectors.rows"
HEAD = "vectors.json"


def begun(home: Path) -> bool:
    """Whether anything was ever remembered here: else nothing of memory needs to be loaded."""
    return (home / DATABASE).exists() or (home / FOLDER).is_dir()


def remove_matrix(folder: Path) -> None:
    """The cache of vectors, if there is one."""
    for name in (HEAD, MATRIX, ROWS):
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()


def bytes_of(home: Path) -> int:
    """What memory takes on the disk."""
    total = 0
    for name in (DATABASE, f"{DATABASE}-wal"):
        with contextlib.suppress(OSError):
            total += (home / name).stat().st_size
    for tree in (home / FOLDER, home / LANCE):
        for path in tree.rglob("*") if tree.is_dir() else ():
            with contextlib.suppress(OSError):
                total += path.stat().st_size if path.is_file() else 0
    return total
