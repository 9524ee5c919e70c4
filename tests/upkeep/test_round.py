"""What the engine clears away by itself: as much as the settings say, and not a byte more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.config import Upkeep
from engine.errors import StorageError
from engine.runner.run_dir import run_dir
from engine.upkeep import round as module
from engine.upkeep.round import Kept, Rounds, keep_up
from engine.upkeep.runs import Turn
from tests.upkeep.samples import DAY, NOW, Bench

OUTPUT = b"a line of output\n" * 2_000


async def test_by_default_output_is_compressed_and_nothing_goes(bench: Bench, repository: Path) -> None:
    old = await bench.ended(days=400, output=OUTPUT)
    young = await bench.ended(days=0.5, output=OUTPUT)
    _, root = await bench.worked(repository, days=400)
    rounds = Rounds(bench.home, Upkeep())
    done = await rounds.once(Turn(60), NOW)
    assert done.saved_bytes > 0
    assert (done.runs, done.moved, done.removed, done.expired) == (0, 0, 0, 0)
    assert [path.name for path in run_dir(bench.home, old, 1).path.iterdir()] == ["stdout.gz"]
    assert [path.name for path in run_dir(bench.home, young, 1).path.iterdir()] == ["stdout"]
    assert root.exists()
    assert await rounds.once(Turn(60), NOW) == Kept(), "and the next round finds nothing to do"


async def test_with_settings_runs_worktrees_and_quarantine_go_in_their_time(bench: Bench, repository: Path) -> None:
    job, root = await bench.worked(repository, days=20, output=OUTPUT)
    (root / "new.txt").write_text("work")
    upkeep = Upkeep(compress_after="1d", runs_for="14d", worktrees_for="7d", quarantine_for="10d")
    rounds = Rounds(bench.home, upkeep)
    done = await rounds.once(Turn(60), NOW)
    assert (done.runs, done.moved, done.expired) == (1, 1, 0)
    assert not (bench.home / "runs" / str(job)).exists()
    assert not root.exists()
    assert (await rounds.once(Turn(60), NOW + 12 * DAY)).expired == 1
    assert list((bench.home / "quarantine").iterdir()) == []


async def test_what_a_crash_left_is_looked_for_once(bench: Bench) -> None:
    job = await bench.ended(output=OUTPUT)
    await bench.prune()
    rounds = Rounds(bench.home, Upkeep())
    assert (await rounds.once(Turn(60), NOW)).moved == 1
    assert not (bench.home / "runs" / str(job)).exists()
    bench.write_run(job, OUTPUT)
    assert (await rounds.once(Turn(60), NOW)).moved == 0


async def test_rounds_go_on_after_one_that_failed_and_end_when_cancelled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[Turn] = []
    third = asyncio.Event()

    async def once(self: Rounds, turn: Turn, now: int) -> Kept:
        turns.append(turn)
        if len(turns) == 1:
            raise StorageError("the disk is full")
        if len(turns) == 2:
            raise ValueError("a defect")
        third.set()
        await asyncio.Event().wait()
        return Kept()

    monkeypatch.setattr(module.Rounds, "once", once)
    task = asyncio.create_task(keep_up(bench.home, Upkeep(), first=0, every=0))
    async with asyncio.timeout(10):
        await third.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "the disk is full" in caplog.text
    assert "a defect" in caplog.text
    assert all(turn.stopped.is_set() for turn in turns), "a thread that still works on a file ends"
