"""Days of work through one engine in minutes: memory, descriptors, threads and files, and whether they grow.

The engine is a real one (`headway serve`) with its socket, its store and a process for each job; only its wall clock is
told to run faster, so that in minutes it lives through midnights, schedules, windows and their resets, upkeep and
pruning. The slopes are of the last three quarters of the samples, a line by least squares, with what they may be off by
(95 %, samples that are alike counted as fewer).

    python -m tests.benchmarks.soak [--jobs 60000] [--speed 480] [--csv FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.fleet.process import favour
from tests.benchmarks.soak.course import Course, Sample, serving
from tests.benchmarks.soak.fit import slope

WHAT = (
    ("RSS MiB", "resident"), ("PSS MiB", "proportional"), ("descriptors", "files"), ("threads", "threads"),
    ("WAL MiB", "wal"), ("database MiB", "database"), ("run directories", "runs"), ("loop lag p99 ms", "lag"),
    ("cores", "cpu"),
)  # fmt: skip
EACH = 10_000  #: jobs that a slope is told for


def report(samples: list[Sample]) -> list[str]:
    """The table."""
    kept = samples[len(samples) // 4 :]
    jobs = [float(one.jobs) for one in kept]
    lines = [f"| | first quarter | last quarter | most | slope for {EACH:,} jobs |  |", "|" + " --- |" * 6]
    for name, field in WHAT:
        values = [float(getattr(one, field)) for one in samples]
        quarter = max(1, len(values) // 4)
        found = slope(jobs, values[len(samples) // 4 :])
        lines.append(
            f"| {name} | {sum(values[:quarter]) / quarter:.2f} | {sum(values[-quarter:]) / quarter:.2f} "
            f"| {max(values):.2f} | {found.each * EACH:+.3f} ± {found.off * EACH:.3f} "
            f"| {'flat' if found.flat else 'grows' if found.each > 0 else 'falls'} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=60_000)
    parser.add_argument("--speed", type=float, default=480.0, help="of the engine's clock: a day in three minutes")
    parser.add_argument("--nice", type=int, default=0, help="of the engine; below 0 beside other work")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="all samples")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), metavar="DIR", help="where the home goes")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the engine ends with us
    favour(os.getpid(), asked.nice)
    directory = Path(tempfile.mkdtemp(prefix="headway-soak-", dir=asked.directory))
    try:
        _soak(asked, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _soak(asked: argparse.Namespace, directory: Path) -> None:
    begun, load = time.monotonic(), os.getloadavg()[0]
    with ExitStack() as stack:
        csv = stack.enter_context(asked.csv.open("w", buffering=1)) if asked.csv is not None else None
        pid, clock = stack.enter_context(serving(directory / "home", asked.speed, asked.nice))
        if csv is not None:
            csv.write(",".join(Sample.__slots__) + "\n")

        def tell(one: Sample) -> None:
            if csv is not None:
                csv.write(",".join(f"{getattr(one, name):.3f}" for name in Sample.__slots__) + "\n")

        course = Course(directory / "home", pid, clock, asked.jobs)
        asyncio.run(course.run(tell))
    took, last = time.monotonic() - begun, course.samples[-1]
    print(
        f"{last.jobs:,} jobs in {took:.0f} s ({last.jobs / took:.0f} a second), {last.hours:.1f} hours by the engine's "
        f"clock, {course.pruned:,} pruned, {len(course.samples)} samples; load before {load:.1f}, after "
        f"{os.getloadavg()[0]:.1f}"
    )
    print("\n".join(report(course.samples)), flush=True)


if __name__ == "__main__":
    main()
