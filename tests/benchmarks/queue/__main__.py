"""Measure, print the tables, and write them as markdown with a picture of the growth. `make bench` runs it.

Run it in an environment with the `bench` extra; a peer that is not installed is left out, and the tables say so.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.queue import figure, goals, machine, table
from tests.benchmarks.queue.measure import Maker, measure
from tests.benchmarks.queue.ours import Headway
from tests.benchmarks.queue.plan import QUICK, WHOLE, Plan
from tests.benchmarks.queue.postgres import Postgres, UnavailableError, programs
from tests.benchmarks.queue.raw import Minimal, SameRows
from tests.benchmarks.queue.served import serving
from tests.benchmarks.queue.systems import Size, System

PACKAGES = ("huey", "litequeue", "procrastinate", "psycopg")
_EMBEDDED = (("huey_peer", "Huey"), ("litequeue_peer", "Lite"))


def main() -> None:
    asked = _arguments()
    plan = QUICK if asked.quick else WHOLE
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the server ends with us
    begun = time.monotonic()
    with ExitStack() as stack:
        parent = stack.enter_context(_directory(asked.directory))
        kinds, missing = _kinds(stack, plan, parent)
        facts = machine.facts(parent) | {"peers": machine.installed(PACKAGES)}
        facts |= {f"without {name}": why for name, why in missing.items()}
        engine = stack.enter_context(serving(parent))
        results = measure(plan, kinds, parent, lambda: engine.round(plan.spawns))
        engine.rest(plan.idle_seconds)
    facts["rounds"] = f"{results.rounds}, {time.monotonic() - begun:.0f} s in all"
    found = [
        table.judged(goals.goals(plan, results, engine), plan),
        *table.sections(plan, results, engine, list(kinds)),
    ]
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    print("\n" + "\n\n".join(map(table.as_text, found)))
    _write(asked.markdown, facts, found)
    if figure.draw(plan, results, list(kinds), asked.figure):
        print(f"\nwritten: {asked.markdown}, {asked.figure}")
    else:
        print(f"\nwritten: {asked.markdown}; no picture, as matplotlib is not installed")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.queue", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute, and nothing is installed")
    parser.add_argument("--markdown", type=Path, default=Path("build/bench/queue.md"), metavar="FILE")
    parser.add_argument("--figure", type=Path, default=Path("build/bench/queue-growth.svg"), metavar="FILE")
    # Not /tmp, which is often in memory: there every commit would be durable for nothing.
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), metavar="DIR", help="where databases go")
    return parser.parse_args()


@contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    """A directory for all databases of this run, which the server's user may pass through."""
    made = Path(tempfile.mkdtemp(prefix="headway-bench-", dir=parent))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _kinds(stack: ExitStack, plan: Plan, parent: Path) -> tuple[dict[type[System], Maker], dict[str, str]]:
    """The systems that can be measured here, ours first, and why others cannot."""
    written = _written(parent)
    kinds: dict[type[System], Maker] = {
        Headway: Headway,
        Minimal: Minimal,
        SameRows: lambda place, size: SameRows(place, size, written),
    }
    missing: dict[str, str] = {}
    for module, name in _EMBEDDED:
        try:
            peer = getattr(importlib.import_module(f"tests.benchmarks.queue.{module}"), name)
        except ImportError as error:
            missing[module.removesuffix("_peer")] = f"{error}; the `bench` extra has it"
        else:
            kinds[peer] = peer
    try:
        from tests.benchmarks.queue.procrastinate_peer import Procrastinate

        server = Postgres(programs(install=plan.install), parent)
    except ImportError as error:
        missing["procrastinate"] = f"{error}; the `bench` extra has it"
    except UnavailableError as error:
        missing["procrastinate"] = f"PostgreSQL: {error}"
    else:
        stack.callback(server.stop)
        kinds[Procrastinate] = lambda place, size: Procrastinate(server, size)
    return kinds, missing


def _written(parent: Path) -> tuple[int, int, int]:
    """Events that Headway writes for the submit, claim and settlement of a job: the baseline writes as many."""
    place = parent / "written"
    place.mkdir()
    system = Headway(place, Size("empty", 0, 0))
    system.close()
    return system.written


def _write(path: Path, facts: dict[str, str], found: list[table.Section]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    path.write_text(f"{listed}\n\n" + "\n".join(map(table.as_markdown, found)), encoding="utf-8")


if __name__ == "__main__":
    main()
