"""What is read of an attempt: the events of its output, and the log."""

from __future__ import annotations

import gzip
from pathlib import Path

from engine import events as log
from engine.agents import events as said
from engine.agents.registry import agents
from engine.context import record
from engine.context.handoff import Edited, Ran
from engine.context.record import Reading, deeds_of, history
from engine.model import Failure, JobSpec
from engine.runner.run_dir import run_dir
from tests.runner.claims import FIRST

from msgspec.structs import replace  # isort: skip


def test_deeds_are_gathered_from_any_agents_events() -> None:
    reading = Reading()
    for event in (
        said.Text("I look. "),
        said.ToolCall("1", "Bash", "pytest -q"),
        said.ToolCall("2", "Read", "a.py"),
        said.ToolResult("2", True, "text"),
        said.ToolResult("1", False, "1 failed"),
        said.FileEdit("a.py", 2, 1),
        said.Permission("WebFetch", "no"),
        said.ToolCall("3", "command_execution", "sleep 600"),
    ):
        reading.take(event)
    reading.close()
    deeds = reading.deeds
    assert deeds.ran == (Ran("pytest -q", False, "1 failed"), Ran("sleep 600"))
    assert (deeds.edited, deeds.said, deeds.denied) == ((Edited("a.py", 2, 1),), ("I look.",), ("WebFetch",))


def test_a_flood_keeps_the_newest_and_no_more() -> None:
    reading = Reading()
    for n in range(10 * record.KEPT):
        reading.take(said.Text(f"word {n}"))
    assert len(reading.deeds.said) == record.KEPT
    assert reading.deeds.said[-1] == f"word {10 * record.KEPT - 1}"


def _line(text: str) -> bytes:
    return b'{"type":"assistant","message":{"content":[{"type":"text","text":"%b"}]}}\n' % text.encode()


def test_only_the_end_of_a_long_output_is_read_also_where_it_is_compressed(tmp_path: Path) -> None:
    for number in (1, 2):
        run_dir(tmp_path, 1, number).path.mkdir(parents=True)
    filler = _line("x" * 1_000) * (record.OUTPUT_BYTES // 1_000)
    run_dir(tmp_path, 1, 1).stdout.write_bytes(_line("never seen") + filler + _line("the end"))
    compressed = run_dir(tmp_path, 1, 2).path / "stdout.gz"
    compressed.write_bytes(gzip.compress(_line("in gzip")))
    tried = [replace(FIRST, id=n, number=n, started_at=1) for n in (1, 2)]
    known = {"claude": agents()["claude"]}
    words = deeds_of(tmp_path, tried, known).said
    assert words[-2:] == ("the end", "in gzip")
    assert "never seen" not in words
    assert deeds_of(tmp_path, [replace(FIRST, number=9, started_at=1)], known).said == (), "its files are gone"


def test_the_log_is_told_in_lines_and_never_more_than_asked_for() -> None:
    bodies = [
        log.Submitted(JobSpec(prompt="p"), "t", "claude"),
        log.Claimed(1),
        log.Requeued(Failure.RATE_LIMITED, "over"),
        log.Rerouted("operator", "codex", "o", None, "claude"),
        log.Compacted("s", "auto", 90_000, None),
    ]
    events = [log.Event(seq=n, at=0, body=body, job=1) for n, body in enumerate(bodies)]
    assert history(events) == [
        "1970-01-01 00:00 attempt 1 began",
        "1970-01-01 00:00 it failed as rate limited: over",
        "1970-01-01 00:00 operator sent it from claude to codex:o",
        "1970-01-01 00:00 the agent shortened its conversation from 90000 to ? tokens",
    ]
    assert len(history(events * 50, most=7)) == 7
