"""A conversation goes on in its own directory alone, and what an agent tells beside its output is read with it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.model import JobSpec, Verb
from engine.orders import Order
from engine.runner.run_dir import run_dir
from tests.runner.living import ended, rehearsal, submit


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


def prompt(engine: Engine, job: int, number: int) -> str:
    return (run_dir(engine.home, job, number).path / "prompt").read_text()


async def test_in_another_directory_it_begins_anew_and_is_told_where_the_other_was(
    engine: Engine, tmp_path: Path
) -> None:
    """As after a home was moved: gemini finds its session nowhere else, and opencode hangs."""
    model = rehearsal(tmp_path, [{"do": "fail", "kind": "crash"}], [{"do": "say", "text": "went on"}])
    (job,) = await submit(engine, JobSpec(prompt="the task", agent="rehearsal", model=model, max_attempts=1))
    _, (first,) = await ended(engine, job)
    moved = "UPDATE attempts SET workspace = '/elsewhere' WHERE job = ?"
    await engine.store.write(lambda tx: tx.connection.execute(moved, (job,)) and None)
    await engine.act(Order(verb=Verb.RETRY, jobs=[job]), "tester")
    _, (_, second) = await ended(engine, job)
    assert second.workspace == first.workspace
    assert second.resumes is None
    assert second.session not in (None, first.session)
    told = prompt(engine, job, 2)
    assert told.startswith("An earlier session worked on this task in another directory, /elsewhere,")
    assert told.endswith("The task is:\n\nthe task")
