"""`python -m tests.fuzz`: each target in a process of its own, one after the other, on one core."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tests.fuzz import campaign
from tests.fuzz.campaign import Course, Finding
from tests.fuzz.contract import holds
from tests.fuzz.targets import TARGETS

FOLDER = Path("build/fuzz")


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all, where none is named"
    )
    asked.add_argument("--minutes", type=float, default=10.0, help="of CPU, over all targets together")
    asked.add_argument(
        "--seed", type=int, default=None, help="where a course begins; another one each time if not said"
    )
    asked.add_argument("--reproduce", type=Path, metavar="FILE", help="read one input again: name its target too")
    given = asked.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        asked.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if given.reproduce is not None:
        with TARGETS[given.targets[0]].opened() as read:
            print(f"read in {holds(read, given.reproduce.read_bytes()):.3f} s of CPU: the contract holds")
        return 0
    names = given.targets or list(TARGETS)
    first = int(time.time()) * 1_000 if given.seed is None else given.seed
    courses = []
    for name in names:
        courses.append(_alone(name, given.minutes / len(names), first))
        print(_row(courses[-1]), flush=True)
    print(_table(courses))
    return 1 if any(one.findings for one in courses) else 0


def _alone(name: str, minutes: float, first: int) -> Course:
    """In a process of its own, in a folder and a home of its own: what one target leaves is met by no other."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(campaign.alone, name, minutes, first, FOLDER.absolute()).result()
    except BrokenProcessPool:
        last = campaign.last(FOLDER, name)
        what = f"the process ended, or was stuck, over {last}"
        print(f"  {name}: {what}", flush=True)
        return Course(name, findings={what: Finding(name, last.read_bytes(), what, "")})


def _row(one: Course) -> str:
    slowest = f"{one.slowest * 1000:.0f} ms"
    return f"{one.target:<12} {one.executions:>11,} {one.seconds / 60:>8.1f} {slowest:>9} {len(one.findings):>9}"


def _table(courses: list[Course]) -> str:
    """All of them, and their sums."""
    executions, seconds = sum(one.executions for one in courses), sum(one.seconds for one in courses)
    findings = sum(len(one.findings) for one in courses)
    head = f"{'target':<12} {'executions':>11} {'CPU min':>8} {'slowest':>9} {'findings':>9}"
    whole = f"{'':<12} {executions:>11,} {seconds / 60:>8.1f} {'':>9} {findings:>9}"
    return "\n".join(["", head, *map(_row, courses), whole])


if __name__ == "__main__":
    sys.exit(main())
