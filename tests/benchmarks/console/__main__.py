"""The table of `make bench-console`: bytes exactly, times as ratios to an empty Textual app in the same run.

Ours and the empty app take turns, so that a busy moment of the machine falls on both alike. htop and lazygit are
measured on the same terminal where they are installed; as root they are installed from Debian where it has them.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from tests.benchmarks.console import measure
from tests.benchmarks.console.measure import READY, SIZE, console, flow
from tests.benchmarks.console.terminal import Terminal

ROUNDS = 7
KEYS = 25  #: of a round of latencies
PEERS = {"htop": ["htop"], "lazygit": ["lazygit"]}


def line(what: str, ours: str, budget: str = "", note: str = "") -> None:
    print(f"{what:<44}{ours:>14}{budget:>14}   {note}".rstrip(), flush=True)


def bare() -> Terminal:
    return Terminal([sys.executable, "-m", "tests.benchmarks.console.bare"], *SIZE, {"TEXTUAL_ANIMATIONS": "none"})


def first_paint(jobs: int) -> float:
    """How many times as long as an empty app it takes until rows are on the screen."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with bare() as terminal:
            terminal.says("ready")
            theirs.append(time.monotonic() - terminal.started)
        command = [sys.executable, "-m", "tests.benchmarks.console.fleet", str(jobs), "local", "idle"]
        with Terminal(command, *SIZE, {}) as terminal:
            terminal.says(READY)
            ours.append(time.monotonic() - terminal.started)
    return statistics.median(ours) / statistics.median(theirs)


def latencies(terminal: Terminal, key: str) -> list[float]:
    found = []
    for _ in range(KEYS):
        found.append(terminal.latency(key))
        terminal.settle(0.15)
    return found


def key_to_paint() -> dict[int, tuple[float, float]]:
    """For each size of the queue: ratio of the medians to an empty app's, and the 95th percentile in ms."""
    with bare() as empty, console(1_000, "local") as small, console(1_000_000, "local") as large:
        empty.says("ready")
        empty.settle()
        theirs: list[float] = []
        ours: dict[int, list[float]] = {1_000: [], 1_000_000: []}
        for _ in range(3):
            theirs += latencies(empty, "j")
            ours[1_000] += latencies(small, "j")
            ours[1_000_000] += latencies(large, "j")
    base = statistics.median(theirs)
    return {n: (statistics.median(t) / base, statistics.quantiles(t, n=20)[-1] * 1_000) for n, t in ours.items()}


def peers() -> None:
    """Idle bytes and CPU of what else is on such machines."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["git", "init", "--quiet", name], check=True)
        for peer, command in PEERS.items():
            if shutil.which(peer) is None and not installed(peer):
                line(
                    f"{peer}, idle", "NOT MEASURED", "", f"{peer} is not installed and Debian here has no such package"
                )
                continue
            env = {"HOME": name, "PWD": name}
            with Terminal(["sh", "-c", f"cd {name} && exec {' '.join(command)}"], *SIZE, env) as terminal:
                terminal.listen(5.0)
                bytes_a_second, cpu = flow(terminal, 10.0)
                line(f"{peer}, idle", f"{bytes_a_second:,.0f} B/s", "", f"{cpu:.1%} of a core")


def installed(package: str) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def bytes_and_cpu(painter: str) -> None:
    stock = painter == "stock"
    with console(100_000, "ssh", stock=stock) as terminal:
        got = measure.bytes_of(terminal)
        line(f"a key, {painter} painter", f"{got.key:,} B", "600 B")
        line(f"a page, {painter} painter", f"{got.page:,} B", "8,000 B")
        line(f"a switch of screens, {painter} painter", f"{got.switch:,} B", "25,000 B", got.asked_of)
        line(f"a question and its answer, {painter} painter", f"{got.question:,} B", "3,000 B")
        if not stock:
            idle, cpu = flow(terminal, 20.0)
            line("idle", f"{idle:,.0f} B/s", "300 B/s", f"{cpu:.1%} of a core (budget 1 %)")
    with console(1_000, "ssh", "updates", stock=stock) as terminal:
        rate, cpu = flow(terminal, 8.0)
        line(f"50 row updates a second, {painter} painter", f"{rate:,.0f} B/s", "12,000 B/s", f"{cpu:.1%} of a core")
    for link, budget in (("ssh", "20,000 B/s"), ("thin", "8,000 B/s")):
        with console(1_000, link, "wall", stock=stock, place="workers") as terminal:
            rate, cpu = flow(terminal, 8.0)
            note = f"{cpu:.1%} of a core"
            line(f"8 panes x 20 lines/s, {link}, {painter} painter", f"{rate:,.0f} B/s", budget, note)


def main() -> None:
    print(
        f"{SIZE[0]}x{SIZE[1]} cells, truecolor; medians of {ROUNDS}; with other load on the machine times are above\n"
    )
    line("what", "measured", "budget", "note")
    for painter in ("thin", "stock"):
        bytes_and_cpu(painter)
    tasks: list[Callable[[], None]] = [memories, times, peers]
    for task in tasks:
        task()


def memories() -> None:
    for jobs in (1_000, 1_000_000):
        with console(jobs, "ssh") as terminal:
            line(f"memory at {jobs:,} jobs", f"{measure.memory(terminal):.0f} MiB", "90 MiB")


def times() -> None:
    line("first useful paint, 100,000 jobs", f"{first_paint(100_000):.2f} x", "2 x", "of an empty Textual app")
    for jobs, (ratio, p95) in key_to_paint().items():
        line(f"key to paint, {jobs:,} jobs", f"{ratio:.2f} x", "3 x", f"p95 {p95:.0f} ms (budget 50 ms, unloaded)")


if __name__ == "__main__":
    main()
