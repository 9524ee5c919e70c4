"""An agent that prints without measure: the engine stays small, says what it saw, and serves the others."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from engine.model import JobSpec
from engine.server.client import Client
from tests.conftest import Served, settings_file, shell

MEBIBYTE = 1 << 20
ROOM = 200 * MEBIBYTE  #: that the engine may grow by: a line of 16 MiB is held several times while it is read

#: What each of them prints, as the body of a program; `w` writes bytes.
FLOODS = {
    "one line without end": "for _ in range(20): w(b'x' * (1 << 20))",
    "a known line without end": (
        "w(b'{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"')\n"
        "for _ in range(20): w(b'x' * (1 << 20))\nw(b'\"}]}}\\n')"
    ),
    "short lines": "for _ in range(8): w(b'{}\\n' * 10_000)",
    "what is no text": "w(b'\\xff\\xfe\\xc0\\xaf\\xed\\xa0\\x80\\n' * 5_000)",
    "brackets": "w(b'{\"a\":' * 100_000 + b'\\n'); w(b'[' * 1_000_000 + b'\\n')",
    "nothing": "w(b'\\0' * (2 << 20) + b'\\n' + b'\\0\\n' * 2_000)",
    "what a terminal obeys": "w(b'\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\n' * 5_000)",
}  # fmt: skip

WRITES = "import os\ndef w(data):\n    while data:\n        data = data[os.write(1, data):]"


def grown(pid: int) -> int:
    """The most memory that a process has held, in bytes."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


async def test_a_flood_ends_in_a_word_and_takes_neither_memory_nor_the_neighbours(
    served: Served, tmp_path: Path
) -> None:
    agents = []
    for number, body in enumerate(FLOODS.values()):
        program = tmp_path / f"flood-{number}.py"
        program.write_text(
            f"import os\ndef w(data):\n    while data:\n        data = data[os.write(1, data):]\n{body}\n"
        )
        agents.append(program)
    chosen = tmp_path / "agent"
    chosen.write_text(f'#!/bin/sh\nexec {sys.executable} "$FLOOD"\n')
    chosen.chmod(0o700)
    accounts = {
        f"a{number}": {"agent": "claude", "env": {"FLOOD": str(program)}} for number, program in enumerate(agents)
    }
    limits = {"max_running": 20, "agents": {"claude": {"command": [str(chosen)], "max_running": 20}}, "max_attempts": 1}
    settings_file(served.home, json.dumps({**limits, "accounts": accounts, "grace": 1}))
    pid = served.start()
    before = grown(pid)
    async with Client(served.home) as client:
        jobs = [JobSpec(prompt="print", agent="claude", account=account) for account in accounts]
        floods = await client.submit(jobs)
        neighbours = await client.submit([shell(f"echo {number}") for number in range(5)])
        await served.until_ended([*floods, *neighbours])
        assert [(await client.job(job)).job.state for job in neighbours] == ["succeeded"] * 5
        for name, job in zip(FLOODS, floods, strict=True):
            detail = (await client.job(job)).job
            assert (detail.state, detail.failure) == ("failed", "bad_output"), (name, detail.reason)
            assert "without a result" in (detail.reason or ""), name
        assert (await client.status()).counts.unfinished == 0
    assert grown(pid) - before < ROOM, f"{(grown(pid) - before) >> 20} MiB"
    for command in (("logs", str(floods[-1])), ("show", str(floods[-1])), ("logs", str(floods[5]))):
        said = served.headway(*command)
        assert said.returncode == 0, said.stderr
        assert not re.search(r"[\x00\x07\x1b\x9b]", said.stdout + said.stderr), command
