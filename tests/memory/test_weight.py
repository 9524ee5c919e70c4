"""What memory costs those who do not use it: nothing of its libraries is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Served

HEAVY = {"numpy", "wordllama", "tokenizers", "safetensors", "lancedb", "pyarrow", "onnxruntime"}


def loaded(*command: str) -> set[str]:
    """The top-level packages that a command imports."""
    done = subprocess.run([sys.executable, "-X", "importtime", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2_000:]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "console.cli", "--version"),
        ("-m", "console.cli", "--help"),
        ("-m", "console.cli", "memory", "--help"),
        ("-c", "import console.app, console.launch, console.start"),
        ("-c", "import engine.server.serve"),
        ("-c", "import engine.memory.memory, engine.memory.archive, engine.memory.recall, engine.memory.writing"),
    ],
)
def test_no_entry_point_loads_what_embeds(command: tuple[str, ...]) -> None:
    found = loaded(*command)
    assert found & {"console", "engine"}, "the list is that of its modules"
    assert not found & HEAVY


def test_the_version_loads_nothing_of_memory() -> None:
    code = "import sys; sys.argv = ['headway', '--version']\nfrom console.cli import main; main()\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print([name for name in sys.modules if name.startswith('engine.memory')])"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_engine_without_memory_loads_none_of_it_and_makes_no_file(served: Served) -> None:
    pid = served.start()
    (job,) = served.headway("submit", "--agent", "rehearsal", "--model", "optimist", "hello").stdout.split()[-1:]
    assert job
    mapped = Path(f"/proc/{pid}/maps").read_text()
    assert not [name for name in HEAVY if f"/{name}/" in mapped]
    assert not (served.home / "memory.db").exists() and not (served.home / "memory").exists()
