"""The vectors of a memory as one matrix in a file, mapped into memory: what a search multiplies with.

It is a cache: the database has every vector, and says by a number which state of it the file is of. Where that number
is another, or the file is not as it was left, it is written anew. Its pages are the kernel's to keep or drop.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.memory.files import HEAD, MATRIX, ROWS, remove_matrix

FORMAT = 1
ROOM = 1_024  #: rows that a new file has room for; it doubles when they are full
GATHER = 8  #: where fewer than one row in so many is asked for, those alone are multiplied

Vector = NDArray[np.float32]

_ROW = np.dtype([("id", "<i8"), ("scope", "<i4"), ("live", "<i4")])
_NOWHERE = np.float32(-2.0)  #: below any cosine


class Head(msgspec.Struct, frozen=True):
    """What the files are of."""

    format: int
    identity: str
    model: str
    dim: int
    count: int
    generation: int
    boot: str
    """Of the machine: after a power loss, pages may be missing."""
    sums: tuple[int, int] | None = None
    """Of both files, once they were left in order."""


class Matrix:
    """Rows of one model. Made by `Matrix.open`, or filled by `Matrix.make`."""

    def __init__(self, folder: Path, identity: str, model: str, dim: int, count: int, generation: int) -> None:
        self._folder = folder
        self._identity = identity
        self.model = model
        self.dim = dim
        self.generation = generation
        self._count = count
        self._order: NDArray[np.intp] | None = None
        self._map()

    @classmethod
    def open(cls, folder: Path, identity: str, model: str, generation: int) -> Matrix | None:
        """What was left by the last process; None where it is of another state, or not whole."""
        try:
            head = msgspec.json.decode((folder / HEAD).read_bytes(), type=Head)
            wanted = (FORMAT, identity, model, generation)
            if (head.format, head.identity, head.model, head.generation) != wanted:
                return None
            sizes = (head.count * head.dim * 4, head.count * _ROW.itemsize)
            for name, size in zip((MATRIX, ROWS), sizes, strict=True):
                if (folder / name).stat().st_size < size:
                    return None
            if head.sums is not None:
                found = tuple(_sum(folder / name, size) for name, size in zip((MATRIX, ROWS), sizes, strict=True))
                if found != head.sums:
                    return None
            elif head.boot != _boot():
                return None
        except (OSError, msgspec.MsgspecError):
            return None
        matrix = cls(folder, identity, model, head.dim, head.count, generation)
        matrix._write_head()  # no sums any more: from here on it may change
        return matrix

    @classmethod
    def make(cls, folder: Path, identity: str, model: str, dim: int, generation: int) -> Matrix:
        """An empty one."""
        remove_matrix(folder)
        return cls(folder, identity, model, dim, 0, generation)

    def _map(self) -> None:
        room = max(ROOM, 1 << max(0, self._count).bit_length())
        for name, size in ((MATRIX, room * self.dim * 4), (ROWS, room * _ROW.itemsize)):
            fd = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, size)  # writing into a hole on a full disk would end the process
            finally:
                os.close(fd)
        self._room = room
        self._file = np.memmap(self._folder / MATRIX, dtype=np.float32, mode="r+", shape=(room, self.dim))
        self._rows_file = np.memmap(self._folder / ROWS, dtype=_ROW, mode="r+", shape=(room,))
        self._data: NDArray[np.float32] = np.asarray(self._file)
        self._rows: NDArray[np.void] = np.asarray(self._rows_file)

    def put(self, ids: Sequence[int], scopes: Sequence[int], vectors: Iterable[Vector]) -> None:
        """Write rows, over those of the same ids."""
        places = self._places(ids)
        for number, scope, place, vector in zip(ids, scopes, places, vectors, strict=True):
            at = place if place >= 0 else self._append(number)
            self._data[at] = vector
            self._rows[at] = (number, scope, 1)

    def _append(self, number: int) -> int:
        if self._count == self._room:
            self.flush()
            self._map()
        if self._count and number <= int(self._rows["id"][self._count - 1]):
            self._order = None
        elif self._order is not None:
            self._order = np.append(self._order, self._count)
        self._rows[self._count] = (number, 0, 0)
        self._count += 1
        return self._count - 1

    def drop(self, ids: Collection[int]) -> None:
        """Rows that are found no more. Nothing of their vectors is left in the file."""
        for place in self._places(list(ids)):
            if place >= 0:
                self._data[place] = 0.0
                self._rows["live"][place] = 0

    def _places(self, ids: Sequence[int]) -> list[int]:
        """The row of each id; -1 where it has none."""
        known = self._rows["id"][: self._count]
        if self._order is None or len(self._order) != self._count:
            self._order = np.argsort(known, kind="stable")
        wanted = np.asarray(ids, dtype=np.int64)
        at = np.searchsorted(known, wanted, sorter=self._order)
        inside = at < self._count
        rows = self._order[np.where(inside, at, 0)] if self._count else np.zeros(len(wanted), dtype=np.intp)
        hit = inside & (known[rows] == wanted) if self._count else np.zeros(len(wanted), dtype=bool)
        return [int(row) if there else -1 for row, there in zip(rows, hit, strict=True)]

    def nearest(self, vector: Vector, scopes: Collection[int] | None, limit: int) -> list[tuple[int, float]]:
        """The ids whose vectors have the greatest cosine, the nearest first. None is all scopes."""
        rows = self._rows[: self._count]
        wanted = rows["live"] == 1
        if scopes is not None:
            known = np.zeros(int(max((*scopes, int(rows["scope"].max(initial=0))))) + 1, dtype=bool)
            known[list(scopes)] = True
            wanted &= known[rows["scope"]]
        number = int(np.count_nonzero(wanted))
        if not number:
            return []
        if number * GATHER < self._count:
            places = np.flatnonzero(wanted)
            cosines = self._data[places] @ vector
        else:
            places = np.arange(self._count)
            cosines = np.where(wanted, self._data[: self._count] @ vector, _NOWHERE)
        most = min(limit, number)
        best = np.argpartition(cosines, len(cosines) - most)[len(cosines) - most :]
        best = best[np.argsort(-cosines[best], kind="stable")]
        return [(int(rows["id"][places[at]]), float(cosines[at])) for at in best]

    def vectors(self, ids: Collection[int]) -> dict[int, Vector]:
        named = list(ids)
        return {
            number: self._data[place].copy()
            for number, place in zip(named, self._places(named), strict=True)
            if place >= 0 and self._rows["live"][place]
        }

    def written(self, generation: int) -> None:
        """What was put and dropped is what the database has in that state."""
        self.generation = generation
        self._write_head()

    def _write_head(self, sums: tuple[int, int] | None = None) -> None:
        head = Head(FORMAT, self._identity, self.model, self.dim, self._count, self.generation, _boot(), sums)
        draft = self._folder / f"{HEAD}.new"
        draft.write_bytes(msgspec.json.encode(head))
        draft.chmod(0o600)
        draft.replace(self._folder / HEAD)

    def flush(self) -> None:
        """What was written is on the disk: a vector that was dropped is so there too."""
        self._file.flush()
        self._rows_file.flush()

    def close(self) -> None:
        """Leave the files in order, with sums by which the next process knows them."""
        self.flush()
        sizes = (self._count * self.dim * 4, self._count * _ROW.itemsize)
        with contextlib.suppress(OSError):
            first, second = (_sum(self._folder / name, size) for name, size in zip((MATRIX, ROWS), sizes, strict=True))
            self._write_head((first, second))


def _sum(path: Path, size: int) -> int:
    total, left = 0, size
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, 1 << 22))):
            total = zlib.crc32(piece, total)
            left -= len(piece)
    return total


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
