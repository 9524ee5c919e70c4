"""`headway sessions`, and what `show` and `retry --fork` say of conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import Served
from tests.runner.living import rehearsal

STEPS: list[dict[str, object]] = [
    {"do": "say", "text": "on it"},
    {"do": "compact", "after": 9_000, "takes": 0},
    {"do": "say", "text": "done"},
]


async def test_sessions_are_listed_and_shown_with_what_they_hold(served: Served, tmp_path: Path) -> None:
    served.env = {"HEADWAY_REHEARSAL_SPEED": "0"}
    served.start()
    assert served.headway("sessions").stderr == "no sessions\n"
    model = rehearsal(tmp_path, STEPS)
    served.headway("submit", "--agent", "rehearsal", "--model", model, "--scratch", "write it")
    await served.until_ended([1])
    (one,) = served.json("sessions", "1")  # type: ignore[misc]
    assert (one["job"], one["state"], one["turns"], one["context_window"]) == (1, "parked", 2, 200_000)
    assert one["share"] == one["context_tokens"] / 200_000
    assert [each["after_tokens"] for each in one["compactions"]] == [9_000]
    line = served.headway("sessions", "J1").stdout.splitlines()[1]
    assert "parked" in line and "of 200k, " in line
    shown = served.headway("show", "1").stdout
    assert f"session   {one['id']}" in shown
    assert "of 200k" in shown and "to 9.0k (auto)" in shown
    assert "s of CPU" in shown
    assert "its session was compacted once" in served.headway("explain", "1").stdout
    assert served.headway("sessions", "7").returncode == 4


async def test_a_retry_may_fork(served: Served, tmp_path: Path) -> None:
    served.env = {"HEADWAY_REHEARSAL_SPEED": "0"}
    served.start()
    served.headway("submit", "--agent", "rehearsal", "--model", rehearsal(tmp_path, STEPS), "--scratch", "write it")
    served.headway("submit", "--agent", "shell", "--scratch", "true")
    await served.until_ended([1, 2])
    done = served.headway("retry", "--fork", "1", "2")
    assert done.stdout == "put back J1; left J2: shell cannot fork a session\n"
    assert served.headway("retry", "--fork", "--fresh", "2").returncode == 2
    served.headway("logs", "-f", "1")
    shown: Any = served.json("show", "1")
    parent, child = sorted(shown["sessions"], key=lambda each: "parent" in each)
    assert (parent["state"], child["parent"]) == ("forked", parent["id"])
    assert f"(a fork of {parent['id']})" in served.headway("show", "1").stdout
