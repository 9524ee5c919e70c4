"""Where a run took place: what has to be known to compare its numbers with another's."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

from tests.benchmarks.queue.measure import Summary

_SYNCS = 400  #: in each of so many rounds
_SYNC_ROUNDS = 5
_IN_MEMORY = ("tmpfs", "ramfs")


def facts(directory: Path) -> dict[str, str]:
    """One line each, in words."""
    syncs = disk_syncs(directory)
    system = filesystem(directory)
    return {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release().split('-')[0]}",
        "python, sqlite": f"{platform.python_version()}, {sqlite3.sqlite_version}",
        "file system": system + (", which keeps nothing: these are no durable numbers" if system in _IN_MEMORY else ""),
        "load before": f"{os.getloadavg()[0]:.2f} over a minute",
        "fdatasync of 4 KiB": f"{syncs.middle:,.0f} a second ({syncs.low:,.0f} to {syncs.high:,.0f})",
    }


def installed(names: Sequence[str]) -> str:
    """Packages with their versions."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) or "none"


def disk_syncs(directory: Path) -> Summary:
    """How many appended blocks a second the disk can be made to keep: no queue that commits one by one can do more."""
    rates = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_SYNC_ROUNDS):
            start = perf_counter()
            for _ in range(_SYNCS):
                file.write(b"\0" * 4096)
                file.flush()
                os.fdatasync(file.fileno())
            rates.append(_SYNCS / (perf_counter() - start))
    return Summary.of(rates)


def filesystem(directory: Path) -> str:
    """The type of the file system that holds a directory."""
    where = directory.resolve()
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if where == Path(point) or Path(point) in where.parents]
    return max(holding, key=lambda one: len(one[0]), default=("", "unknown"))[1]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
