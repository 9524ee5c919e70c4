"""Why an attempt is ended is noted beside its output, and outlives the engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.model import Failure
from engine.runner import cut
from engine.runner.cut import ASKED, Cut, note, noted
from engine.runner.run_dir import RunDir

OVER = Cut(Failure.TIMEOUT, "it ran for 1h, its limit")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


@pytest.mark.parametrize("decided", [OVER, ASKED])
def test_what_was_noted_is_read_again(run: RunDir, decided: Cut) -> None:
    assert noted(run) is None
    note(run, decided)
    assert noted(run) == decided
    assert [path.name for path in run.path.iterdir()] == [cut.NAME]


def test_the_newest_decision_counts(run: RunDir) -> None:
    note(run, OVER)
    note(run, ASKED)
    assert noted(run) == ASKED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"failure": "no such", "reason": ""}', b"\xff\xfe"])
def test_what_is_no_note_is_none(run: RunDir, content: bytes) -> None:
    (run.path / cut.NAME).write_bytes(content)
    assert noted(run) is None


def test_nobody_waits_for_a_pipe_that_an_agent_put_there(run: RunDir) -> None:
    os.mkfifo(run.path / cut.NAME)
    os.mkfifo(run.path / f"{cut.NAME}.tmp")
    assert noted(run) is None
    note(run, OVER)
    assert noted(run) == OVER


@pytest.mark.parametrize("name", [cut.NAME, f"{cut.NAME}.tmp"])
def test_where_it_cannot_be_noted_it_goes_on_all_the_same(
    run: RunDir, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (run.path / name).mkdir()
    note(run, OVER)
    assert "why it is stopped cannot be noted" in caplog.text
