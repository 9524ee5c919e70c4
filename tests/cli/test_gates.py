"""`headway gates`, `gate` and `show` of a job that its gate has refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engine import events as log
from tests.conftest import Served, settings_file


async def test_the_commands_show_what_a_gate_asks_for_and_what_it_found(served: Served, repository: Path) -> None:
    settings_file(served.home, "gates: {g: {checks: ['grep two a.txt'], rounds: 1}}\n")
    served.start()
    assert "g     jobs that name it  1" in served.headway("gates").stdout
    given = ("--agent", "shell", "--gate", "g", "--project", str(repository))
    job = served.headway("submit", "echo one >b.txt", *given).stdout.strip()
    await served.until(lambda event: isinstance(event.body, log.Asked))
    dry = served.headway("gate", job, "--dry-run").stdout
    assert "J1 has the gate g: it names it" in dry and "rounds    1, then you are asked" in dry
    found = served.headway("gate", job).stdout
    assert "refused in round 1" in found and "check 1   grep two a.txt: exit 1" in found
    assert "in full: gate-1/check-1.txt" in found
    shown: Any = await asyncio.to_thread(served.json, "show", job)
    assert [one["verdict"] for one in shown["looks"]] == ["refused"]
    assert served.json("gate", job)["plan"]["gate"]["name"] == "g"
    answered = served.headway("answer", "1", "done").stdout
    assert "taken for done: J1" in answered
    assert "accepted in round 1" in served.headway("show", job).stdout
    refused = served.headway("submit", "x", "--agent", "shell", "--gate", "h", "--scratch")
    assert refused.returncode == 2 and "there is no gate 'h'" in refused.stderr
