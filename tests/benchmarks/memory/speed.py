"""How fast twenty things are recalled, beside one bare product of numpy and one bare query of FTS5 on the same data.

Run as a program of its own for each backend, so that the memory it takes is that of one: `python -m
tests.benchmarks.memory.speed sqlite 1000 10000`. It prints a line of JSON for each size.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from engine.config import MemorySettings
from engine.memory import files
from engine.memory.archive import Archive
from engine.memory.moving import move
from engine.memory.recall import recall
from engine.memory.store import Backend
from engine.memory.terms import fts5, terms_of
from tests.benchmarks.memory import sets

WARM = 5  #: questions before the clock runs
PAGE = 5_000  #: items written at once
POOL = 50
JOB = ("global", "project:/src/p3")  #: what a job of a project is told of: a fifth of all


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One backend at one size. Times are milliseconds: the middle, and the 95th of a hundred."""

    backend: str
    count: int
    whole: tuple[float, float]
    """Recall of 20 of all scopes, from the question to what is told."""
    job: tuple[float, float]
    """The same of the scopes of one job."""
    scan: tuple[float, float] = (0.0, 0.0)
    """One product of the matrix, and the best 50."""
    query: tuple[float, float] = (0.0, 0.0)
    """One query of FTS5 for the best 50."""
    questions: int
    write_seconds: float
    """To write and embed all that was added since the size before."""
    written: int
    bytes: int
    rss: int
    """Of the process, once it has answered."""
    rss_before: int
    """With the embedder loaded, and nothing remembered."""

    @property
    def ratio(self) -> float:
        """The whole path's p95 to that of both bare halves together."""
        return self.whole[1] / (self.scan[1] + self.query[1])


def main() -> None:
    backend, sizes = Backend(sys.argv[1]), [int(word) for word in sys.argv[2:]]
    with tempfile.TemporaryDirectory(prefix="headway-memory-", dir="/var/tmp") as place:
        archive = Archive.open(Path(place), MemorySettings(most=20, least=0.0))
        try:
            if backend is not Backend.SQLITE:
                move(archive, backend, 60)
            archive.vector_of("the embedder is loaded")
            before = psutil.Process().memory_info().rss
            there = 0
            for size in sizes:
                spent = _grow(archive, there, size)
                found = _measure(archive, Path(place), size, size - there, spent, before)
                there = size
                print(msgspec.json.encode(found).decode(), flush=True)
        finally:
            archive.close()


def _grow(archive: Archive, there: int, size: int) -> float:
    spent = 0.0
    while there < size:
        items = sets.crowd(there, there + 1, min(PAGE, size - there))
        begun = time.perf_counter()
        archive.store.put(items)
        archive.embed(items)
        spent += time.perf_counter() - begun
        there += len(items)
    return spent


def _measure(archive: Archive, home: Path, size: int, written: int, spent: float, before: int) -> Measured:
    rounds = 100 if archive.store.backend is Backend.SQLITE else 30
    questions = sets.asked_of_crowd(size, rounds + WARM)
    bare = _Bare(archive, home) if archive.store.backend is Backend.SQLITE else None
    whole, job, scan, query = list[float](), list[float](), list[float](), list[float]()

    def told(question: str, scopes: Sequence[str]) -> None:
        found = recall(archive, question, scopes, 100_000, str, sets.NOW)
        assert len(found.parts) == 20, (len(found.parts), question)

    # They take turns, so that a busy moment of the machine falls on all of them alike.
    for number, question in enumerate(questions):
        taken = [_timed(lambda: told(question, ())), _timed(lambda: told(question, JOB))]  # noqa: B023
        if bare is not None:
            vector = archive.vector_of(question)[0]
            assert vector is not None
            taken += [_timed(lambda: bare.scan(vector)), _timed(lambda: bare.query(question))]  # noqa: B023
        if number >= WARM:
            for times, one in zip((whole, job, scan, query), taken, strict=False):
                times.append(one)
    rss = psutil.Process().memory_info().rss
    if bare is not None:
        rss -= bare.matrix.nbytes
        bare.close()
    return Measured(
        backend=str(archive.store.backend),
        count=size,
        whole=_spread(whole),
        job=_spread(job),
        scan=_spread(scan),
        query=_spread(query),
        questions=rounds,
        write_seconds=spent,
        written=written,
        bytes=files.bytes_of(home),
        rss=rss,
        rss_before=before,
    )


class _Bare:
    """What each half takes by itself: a matrix in memory, and the index through a connection of its own."""

    def __init__(self, archive: Archive, home: Path) -> None:
        self._connection = sqlite3.connect(home / files.DATABASE, isolation_level=None)
        self._connection.execute("PRAGMA cache_size = -65536")
        rows = self._connection.execute("SELECT data FROM vectors ORDER BY id").fetchall()
        self.matrix: NDArray[np.float32] = np.frombuffer(b"".join(row[0] for row in rows), dtype=np.float32).reshape(
            len(rows), -1
        )

    def scan(self, vector: NDArray[np.float32]) -> None:
        cosines = self.matrix @ vector
        most = min(POOL, len(cosines))
        best = np.argpartition(cosines, len(cosines) - most)[len(cosines) - most :]
        best[np.argsort(-cosines[best])].tolist()

    def query(self, question: str) -> None:
        asked = f"words : ({fts5(terms_of(question))})"
        self._connection.execute(
            "SELECT rowid, rank FROM found WHERE found MATCH ? ORDER BY rank LIMIT ?", (asked, POOL)
        ).fetchall()

    def close(self) -> None:
        self._connection.close()


def _timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _spread(times: Sequence[float]) -> tuple[float, float]:
    if not times:
        return 0.0, 0.0
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
