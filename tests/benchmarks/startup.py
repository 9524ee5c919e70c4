"""How long the command line takes to start, as ratios to a Python that does nothing, measured in one run.

Run it with `make bench`. Commands take turns, so that a busy moment of the machine falls on all of them alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 21

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import typer'": [sys.executable, "-c", "import typer"],
    "headway --version": [sys.executable, "-m", "console.cli", "--version"],
    "headway --help": [sys.executable, "-m", "console.cli", "--help"],
}


def measure() -> dict[str, list[float]]:
    """Wall seconds of each command, in rounds."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - start)
    return taken


def main() -> None:
    taken = measure()
    base = statistics.median(taken["python -c pass"])
    print(f"{'command':<28}{'median ms':>10}{'quartiles ms':>18}{'ratio':>8}")
    for name, seconds in taken.items():
        low, middle, high = statistics.quantiles(seconds, n=4)
        spread = f"{low * 1000:.0f} to {high * 1000:.0f}"
        print(f"{name:<28}{middle * 1000:>10.0f}{spread:>18}{middle / base:>8.2f}")


if __name__ == "__main__":
    main()
