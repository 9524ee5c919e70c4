"""Writes what all stand-ins print, into the files that their shims opened. A program of its own.

    python -m tests.benchmarks.fleet.source DIRECTORY AGENTS RATE SECONDS

A process of Python or of a shell for each agent would take more of the machine than the engine that is measured. So an
agent is a shell that tells its pid and waits; its standard output, the real one that the engine's shim opened, is
written from here. Lines are spread evenly over time: at 500 agents and 10 a second one each 0.2 ms.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from array import array
from pathlib import Path

from tests.benchmarks.fleet.script import Script

#: What stands in for an agent. It waits for its end without taking any of the processor. Its output has a second
#: descriptor, because the shell turns the first one elsewhere while it tells its pid.
AGENT = 'exec 4>&1\necho $$ >"$1"\nread -r word <"$2"\n'
BORN, END, TIMES, JOBS = "born", "end", "times", "jobs"  #: files of the directory
PAUSE_SECONDS = 0.002


def prepare(directory: Path) -> list[str]:
    """The command of the stand-ins."""
    (directory / "agent.sh").write_text(AGENT)
    for name in (BORN, END):
        os.mkfifo(directory / name)
    return ["/bin/sh", str(directory / "agent.sh"), str(directory / BORN), str(directory / END)]


def _gather(directory: Path, count: int) -> dict[int, int]:
    """Descriptors of the output of so many agents, by their jobs."""
    born = os.open(directory / BORN, os.O_RDWR)
    found: dict[int, int] = {}
    text = b""
    while len(found) < count:
        *pids, text = (text + os.read(born, 1 << 16)).split(b"\n")
        for pid in pids:
            out = Path(f"/proc/{int(pid)}/fd/4")
            job = int(out.readlink().parts[-3])  # runs/JOB/ATTEMPT/stdout
            found[job] = os.open(out, os.O_WRONLY | os.O_APPEND)
    return dict(sorted(found.items()))


def main() -> None:
    directory, count, rate, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    end = os.open(directory / END, os.O_RDWR)
    outputs = _gather(directory, count)
    scripts = [Script(job) for job in outputs]
    files = list(outputs.values())
    for script, fd in zip(scripts, files, strict=True):
        os.write(fd, script.first())
    (directory / JOBS).write_text(" ".join(map(str, outputs)))
    print("ready", flush=True)
    sys.stdin.readline()
    times = _stream(scripts, files, rate * count, round(rate * count * seconds))
    (directory / TIMES).write_bytes(times.tobytes())
    print("written", flush=True)
    sys.stdin.readline()
    for script, fd in zip(scripts, files, strict=True):
        os.write(fd, script.last(len(times) // count))
    os.write(end, b"\n" * count)
    sys.stdin.readline()  # who opened the pipe last keeps it: the agents have to read it first


def _stream(scripts: list[Script], files: list[int], rate: float, lines: int) -> array[int]:
    """Write so many lines, `rate` a second, by turns. When each of them was written, in nanoseconds."""
    times: array[int] = array("q")
    count = len(files)
    begun = time.monotonic_ns()
    while (done := len(times)) < lines:
        due = min(lines, int((time.monotonic_ns() - begun) * rate / 1e9) + 1)
        for number in range(done, due):
            turn, agent = divmod(number, count)
            now = time.monotonic_ns()
            os.write(files[agent], scripts[agent].line(turn, now))
            times.append(now)
        time.sleep(PAUSE_SECONDS)
    return times


if __name__ == "__main__":
    main()
