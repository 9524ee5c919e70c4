"""What an attempt leaves for the next one is kept, and told to it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import NotFoundError, UsageError
from engine.hand_off import Cause, Done, HandOff
from engine.model import JobSpec, Verb
from engine.orders import Order
from engine.runner.run_dir import run_dir
from tests.runner.living import ended, rehearsal, submit

KEY = "sk-a-key-that-nobody-may-read"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


async def test_what_failed_is_handed_on_with_what_its_agent_wrote_itself(engine: Engine, tmp_path: Path) -> None:
    engine.secrets.learn([KEY])
    model = rehearsal(tmp_path, [{"do": "fail", "kind": "crash"}], [{"do": "say", "text": "went on"}])
    (job,) = await submit(engine, JobSpec(prompt="the task", agent="rehearsal", model=model, max_attempts=1))
    await ended(engine, job)
    (failed,) = await engine.hand_offs.of_job(job)
    assert (failed.by, failed.cause, failed.attempt, failed.told) == ("headway", Cause.FAILURE, 1, None)
    assert failed.note.goal == "the task" and failed.note.next

    note = HandOff(state=f"the key is {KEY}", done=[Done("the parser", "pytest passed")], traps=["the cache lies"])
    own = await engine.hand_offs.write(job, note, by="rehearsal", attempt=1)
    assert KEY not in own.note.state
    moved = "UPDATE attempts SET workspace = '/elsewhere' WHERE job = ?"
    await engine.store.write(lambda tx: tx.connection.execute(moved, (job,)) and None)
    await engine.act(Order(verb=Verb.RETRY, jobs=[job]), "tester")
    await ended(engine, job)

    told = (run_dir(engine.home, job, 2).path / "prompt").read_text()
    assert "## What rehearsal left for whoever goes on" in told
    assert "- Trap: the cache lies\n- Done: the parser (pytest passed)" in told
    assert "- Goal: the task" in told and KEY not in told
    kept = {one.cause: one for one in await engine.hand_offs.of_job(job)}
    assert set(kept) == {Cause.FAILURE, Cause.OWN, Cause.ROTATION}
    assert kept[Cause.OWN].told == kept[Cause.ROTATION].told == 2


async def test_one_that_says_nothing_is_refused(engine: Engine, tmp_path: Path) -> None:
    (job,) = await submit(engine, JobSpec(prompt="true", agent="shell"))
    with pytest.raises(UsageError, match="says something"):
        await engine.hand_offs.write(job, HandOff(goal="  "))
    with pytest.raises(NotFoundError, match="no attempt 7"):
        await engine.hand_offs.write(job, HandOff(goal="x"), attempt=7)
    with pytest.raises(NotFoundError, match="no job 99"):
        await engine.hand_offs.write(99, HandOff(goal="x"))
