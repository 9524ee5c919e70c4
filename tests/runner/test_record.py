"""The agent's own record of a session, read beside its output."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runner import record
from engine.runner.record import Record


async def test_a_record_that_is_not_there_is_looked_for_ever_more_seldom_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent of ten lines a second has each of them ask, and each look goes through all that it ever worked in."""
    looked: list[float] = []
    now = 0.0
    find = record.find

    def counted(pattern: str, session: str) -> Path | None:
        looked.append(now)
        return find(pattern, session)

    monkeypatch.setattr(record, "find", counted)
    seen: list[bytes] = []
    one = Record(f"{tmp_path}/*/{{session}}.jsonl", 0, seen.extend, clock=lambda: now)
    for _ in range(36_000):  # an hour
        one.read("s")
        now += 0.1
    assert looked[0] == 0.0
    assert len(looked) <= 8 + 3_600 / record.LOOK_LAST
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "s.jsonl").write_text("late\n")
    await one.finish("s")
    assert seen == [b"late"]


def test_a_record_that_comes_a_moment_later_is_found(tmp_path: Path) -> None:
    now = 0.0
    seen: list[bytes] = []
    one = Record(f"{tmp_path}/*/{{session}}.jsonl", 0, seen.extend, clock=lambda: now)
    assert one.read("s") == 0
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "s.jsonl").write_text("first\n")
    assert one.read("s") == 0
    now = record.LOOK_FIRST
    assert (one.read("s"), seen) == (6, [b"first"])
    assert one.read(None) == 0
