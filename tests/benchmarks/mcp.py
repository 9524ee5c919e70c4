"""What the MCP server of an attempt takes: its start to the first answer, processor time, memory, a call and back.

Beside it a Python that does nothing, and a server of the official SDK (extra `dev`) with one tool. Each round takes
them one after the other, so that what else the machine does meets all of them; the medians are printed, and the ratios
to the Python that does nothing.

    python -m tests.benchmarks.mcp
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.home import AGENTS
from engine.mcp import capability
from engine.mcp.offering import command
from engine.model import Tool
from engine.runner.run_dir import RunDir
from engine.server.listening import listening

ROUNDS = 15
CALLS = 200
NOTHING = [sys.executable, "-c", "pass"]
BARE = [sys.executable, "-I", "-S", "-c", "pass"]
SDK = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("s")
@server.tool()
def report_progress(message: str) -> str:
    return "noted"
server.run()
"""


@dataclass(frozen=True)
class Taken:
    """Seconds to the first answer, or to the end; seconds of processor time; MiB at most; seconds of a call."""

    wall: float
    cpu: float
    memory: float
    call: float = 0.0


def to_the_end(argv: Sequence[str]) -> Taken:
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    wall = time.perf_counter() - began
    looking = [*argv[:-1], "print(open('/proc/self/status').read())"]
    status = subprocess.run(looking, capture_output=True, text=True, check=True).stdout
    return Taken(wall, used.ru_utime + used.ru_stime, _peak(status))


def served(argv: Sequence[str]) -> Taken:
    """A server from its start to its first answer, then some calls."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None and process.stdout is not None

    def ask(number: int, method: str, params: object) -> None:
        assert process.stdin is not None and process.stdout is not None
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        while json.loads(process.stdout.readline()).get("id") != number:
            pass

    about = {"name": "benchmark", "version": "1"}
    ask(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about})
    wall = time.perf_counter() - began
    process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    cpu = _cpu(process.pid)
    calling = time.perf_counter()
    for number in range(1, CALLS + 1):
        ask(number, "tools/call", {"name": "report_progress", "arguments": {"message": "x"}})
    call = (time.perf_counter() - calling) / CALLS
    memory = _peak(Path(f"/proc/{process.pid}/status").read_text())
    process.stdin.close()
    process.wait()
    return Taken(wall, cpu, memory, call)


def _peak(status: str) -> float:
    """MiB that a process has held at most. What `wait4` tells has that of the process before `exec` in it."""
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answering(listener: socket.socket) -> None:
    """The engine's end of the socket, as short as can be."""
    while True:
        line, _ = listener.accept()
        threading.Thread(target=_answer, args=(line,), daemon=True).start()


def _answer(line: socket.socket) -> None:
    for frame in line.makefile("rb"):
        line.sendall(json.dumps({"call": json.loads(frame)["call"], "ok": True, "text": "noted"}).encode() + b"\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        path = capability.write(RunDir(home), home, "token", list(Tool))
        with listening(home, AGENTS) as listener:
            threading.Thread(target=answering, args=(listener,), daemon=True).start()
            kinds = {
                "python -c pass": lambda: to_the_end(NOTHING),
                "python -I -S -c pass": lambda: to_the_end(BARE),
                "the shim": lambda: served(command(path)),
                "the SDK's server": lambda: served([sys.executable, "-c", SDK]),
            }
            found: dict[str, list[Taken]] = {kind: [] for kind in kinds}
            for _ in range(ROUNDS):
                for kind, take in kinds.items():
                    found[kind].append(take())
    print(f"{'':22} {'first answer':>14} {'CPU':>9} {'memory':>9} {'a call':>9}   beside python -c pass")
    nothing = statistics.median(one.wall for one in found["python -c pass"])
    for kind, taken in found.items():
        wall, cpu, memory, call = (
            statistics.median(getattr(one, name) for one in taken) for name in ("wall", "cpu", "memory", "call")
        )
        told = f"{call * 1000:.2f} ms" if call else "-"
        figures = f"{wall * 1000:11.1f} ms {cpu * 1000:6.0f} ms {memory:5.1f} MiB {told:>9}"
        print(f"{kind:22} {figures}   {wall / nothing:.1f} x")


if __name__ == "__main__":
    main()
