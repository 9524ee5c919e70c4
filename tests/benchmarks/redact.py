"""What it takes to look for secrets, beside a plain copy of the same text and beside Python's own ways of looking.

The text is what agents print: lines of JSON with source code in them, without a key, and then with one in each
hundredth line. Each round takes all ways one after the other; the medians are printed, and the ratio to the copy.

    python -m tests.benchmarks.redact
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from engine.redact import Secrets
from engine.redact.shapes import SHAPES

ROUNDS = 7
LINE = 600  #: characters of code in a line
MB = 1e6


def lines() -> list[bytes]:
    """Lines of JSON, as an agent prints what it reads."""
    code = "".join(file.read_text() for file in sorted(Path("engine").rglob("*.py")))
    session = "5f0c8a3e-7d3c-4d0e-9a1b-2c3d4e5f6a7b"
    told = (code[at : at + LINE] for at in range(0, len(code), LINE))
    found = [json.dumps({"type": "assistant", "text": one, "session_id": session}).encode() for one in told]
    return [line for line in found if not Secrets().spans(line)]


def ways(found: list[bytes]) -> dict[str, Callable[[], object]]:
    """By name: each takes all lines once."""
    gates = [gate.encode() for shape in SHAPES for gate in shape.gates]
    one = re.compile(b"|".join(map(re.escape, gates)))
    none, known = Secrets(), Secrets()
    known.learn([f"{number:04}-known-value-{number * 7919:08x}" for number in range(20)])
    key = b"sk-ant-api03-" + b"a1B2c3D4" * 12
    planted = [line[:-2] + key + line[-2:] if at % 100 == 0 else line for at, line in enumerate(found)]
    return {
        "copy": lambda: [bytes(bytearray(line)) for line in found],
        "no key in it": lambda: [none.out_of_bytes(line) for line in found],
        "no key in it, 20 values known": lambda: [known.out_of_bytes(line) for line in found],
        "a key in each 100th line": lambda: [known.out_of_bytes(line) for line in planted],
        "the signs alone, by one re": lambda: [one.search(line) for line in found],
        "the signs alone, by bytes.find": lambda: [any(gate in line for gate in gates) for line in found],
    }


def main() -> None:
    found = lines()
    size = sum(map(len, found)) / MB
    taken: dict[str, list[float]] = {}
    known = ways(found)
    for way in known.values():
        way()
    for _ in range(ROUNDS):
        for name, way in known.items():
            start = time.perf_counter()
            way()
            taken.setdefault(name, []).append(time.perf_counter() - start)
    copy = statistics.median(taken["copy"])
    print(f"{len(found)} lines, {size:.1f} MB, {len(SHAPES)} shapes")
    for name, times in taken.items():
        middle = statistics.median(times)
        print(
            f"{name:32}{size / middle:8.0f} MB/s {middle / len(found) * MB:7.2f} us a line {middle / copy:7.1f} x copy"
        )


if __name__ == "__main__":
    main()
