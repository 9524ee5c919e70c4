"""`headway prune` as a whole: the database and the files together, a foresight that keeps its word."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.model import Failure, State
from engine.upkeep.service import prune
from engine.upkeep.wire import Prune, PruneResult
from tests.upkeep.samples import DAY, NOW, Bench, usage

OUTPUT = b"x" * 10_000
KEEP = 30 * DAY


async def run(bench: Bench, wanted: Prune = Prune(), seconds: float = 60.0) -> PruneResult:
    return await prune(bench.store, bench.home, wanted, by="tester", keep_ms=KEEP, now=NOW, seconds=seconds)


async def test_files_go_with_the_jobs_and_worktrees_into_quarantine(bench: Bench, repository: Path) -> None:
    job, root = await bench.worked(repository, output=OUTPUT, token="t", batch="b", session="s")
    (root / "new.txt").write_text("work")
    young, other = await bench.worked(repository, days=3, output=OUTPUT)
    done = await run(bench)
    assert (done.jobs, done.attempts, done.runs, done.run_bytes) == (1, 1, 1, len(OUTPUT))
    assert (done.workspaces_moved, done.workspaces_removed, done.more) == (1, 0, False)
    assert not (bench.home / "runs" / str(job)).exists()
    assert (bench.home / "runs" / str(young) / "1" / "stdout").exists()
    assert (bench.home / "quarantine" / f"2025-10-09-{job}-x" / root.name / "new.txt").read_text() == "work"
    assert other.exists()
    for table in ("submissions", "batches", "sessions"):
        assert bench.ask(f"SELECT count(*) FROM {table}") == [(0,)], table


async def test_a_dry_run_says_the_same_and_does_nothing(bench: Bench, repository: Path) -> None:
    for _ in range(3):
        await bench.ended(usage(), output=OUTPUT)
    _, root = await bench.worked(repository, output=OUTPUT)
    (root / "new.txt").write_text("work")
    needed = await bench.ended()
    await bench.submit(after=[needed, await bench.submit()])
    before = bench.told_and_kept()
    seen = await run(bench, Prune(dry_run=True))
    assert bench.told_and_kept() == before
    assert root.exists()
    done = await run(bench)
    fields = ("jobs", "attempts", "events", "needed", "runs", "run_bytes", "workspaces_moved", "before", "more")
    assert [getattr(seen, name) for name in fields] == [getattr(done, name) for name in fields]
    assert seen.dry_run
    assert (done.jobs, done.needed) == (4, 1)


async def test_many_are_pruned_in_several_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(7):
        await bench.ended(output=OUTPUT)
    monkeypatch.setattr("engine.upkeep.service.BATCH", 2)
    done = await run(bench)
    assert (done.jobs, done.runs, done.more) == (7, 7, False)
    pruned = [event for event in bench.published if type(event.body).__name__ == "Pruned"]
    assert len(pruned) == 4


async def test_one_call_ends_after_its_time_and_says_that_there_is_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await bench.ended()
    monkeypatch.setattr("engine.upkeep.service.BATCH", 2)
    total = await run(bench, seconds=0)
    assert (total.jobs, total.more) == (2, True)
    while total.more:
        total = total.and_then(await run(bench, seconds=0.2))
    assert total.jobs == 5
    assert bench.ids() == []


async def test_the_file_becomes_smaller(bench: Bench) -> None:
    for _ in range(30):
        await bench.ended(title="x" * 50_000)
    done = await run(bench)
    assert done.freed_bytes > 1_000_000
    assert bench.ask("PRAGMA freelist_count") == [(0,)]


async def test_states_and_spans_that_are_none_are_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match="a running job has not ended and cannot be pruned"):
        await run(bench, Prune(states=[State.RUNNING, State.FAILED]))
    with pytest.raises(UsageError, match="older_than: 'soon' is no span of time"):
        await run(bench, Prune("soon"))


async def test_failed_ones_can_be_kept(bench: Bench) -> None:
    await bench.ended()
    failed = await bench.ended(failure=Failure.CRASHED)
    await run(bench, Prune(states=[State.SUCCEEDED, State.CANCELLED]))
    assert bench.ids() == [failed]
