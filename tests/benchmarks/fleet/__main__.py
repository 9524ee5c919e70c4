"""So many agents at once that stream, one engine that follows them all, and what that takes of it; printed as a table.

Each course has an engine of its own (`headway serve`), a console's link with its progress and the output of eight jobs,
a link that hardly reads, and beside it, over the same files and at the same time, a bare follower that only reads and
decodes: that is the least that any engine in Python would have to do. Real are shims, run directories, output files,
parsers, ledger, log and socket; what stands in for an agent is a shell that waits, whose output another process writes.

    python -m tests.benchmarks.fleet [--agents 50,100,200,500] [--rate 10] [--seconds 20] [--profile FILE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.fleet.course import Figures, Plan, percentile, run
from tests.benchmarks.fleet.process import favour

COLUMNS = (
    "agents", "lines/s", "engine %", "us a line", "bare %", "ratio", "RSS MiB", "PSS MiB", "fds", "seen p50/p95 ms",
    "told p50/p95 ms", "lag p99 ms", "lost", "source late ms", "cores busy", "load",
)  # fmt: skip


def row(one: Figures) -> list[str]:
    pair = "{:.0f} / {:.0f}".format
    return [
        str(one.plan.agents),
        f"{one.plan.agents * one.plan.rate:,.0f}",
        f"{100 * one.engine:.1f}",
        f"{1e6 * one.engine / (one.plan.agents * one.plan.rate):.0f}",
        f"{100 * one.bare:.1f}",
        f"{one.engine / one.bare:.2f}" if one.bare else "-",
        f"{one.held.resident:.0f}",
        f"{one.held.proportional:.0f}",
        str(one.held.files),
        pair(percentile(one.seen, 0.5), percentile(one.seen, 0.95)),
        pair(percentile(one.told, 0.5), percentile(one.told, 0.95)),
        f"{one.lag:.0f}",
        f"{one.lost} of {one.written}",
        f"{one.late:.0f}",
        f"{one.machine:.1f}",
        f"{one.load:.1f}",
    ]


def main() -> None:
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was started ends with us
    favour(os.getpid(), asked.nice)
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)

    def profile(pid: int, seconds: float) -> None:
        if asked.profile is not None:
            subprocess.run(
                ["py-spy", "record", "--pid", str(pid), "--duration", str(round(seconds)), "--format", "raw",
                 "--gil", "--rate", "200", "--output", str(asked.profile)], check=True, capture_output=True,
            )  # fmt: skip

    for agents in map(int, asked.agents.split(",")):
        directory = Path(tempfile.mkdtemp(prefix="headway-fleet-", dir=asked.directory))
        try:
            found = run(Plan(agents, asked.rate, asked.seconds, asked.nice), directory, profile)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        print("| " + " | ".join(row(found)) + " |", flush=True)
        if found.lost:
            print(f"  lost: {found.lost_in_store} in the store, {found.lost_in_sums} in sums, {found.lost_in_output} "
                  f"of the followed output, {found.lost_in_log} of the log", flush=True)  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fleet", description=__doc__)
    parser.add_argument("--agents", default="50,100,200,500", metavar="N,N,...")
    parser.add_argument("--rate", type=float, default=10.0, help="lines a second of each agent")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each course that are measured")
    parser.add_argument("--nice", type=int, default=0, help="of engine and readers; below 0 beside other work")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="what py-spy sees of the engine meanwhile")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), metavar="DIR", help="where homes go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
