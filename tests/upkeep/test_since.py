"""What went on after a backup is not done a second time once it is restored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from engine import events as log
from engine.model import Verb
from engine.store import Store, actions
from engine.store.fold import rebuild
from engine.store.rows import SELECT_JOB, job_row
from engine.store.store import FILE
from engine.store.verbs import Request, act
from engine.upkeep.backup import backup
from engine.upkeep.kept import kept_as
from engine.upkeep.restore import restore
from engine.upkeep.runs import compress
from tests.upkeep.samples import DAY, NOW, Bench, usage


async def test_attempts_that_the_backup_does_not_know_are_counted(bench: Bench, saved: Path) -> None:
    bench.store = await Store.open(bench.home, clock=bench)
    await bench.start(3)
    await bench.store.close()
    assert restore(saved, bench.home).strangers == 1


async def test_jobs_that_went_on_since_are_held_so_that_nothing_is_done_twice(bench: Bench, tmp_path: Path) -> None:
    """By the backup they have not ended; by the database that it takes the place of they have."""
    waits, ran, runs, running = [await bench.submit(title) for title in ("waits", "ran", "runs", "running")]
    live = await bench.start(running)
    await bench.store.write(lambda tx: tx.log(log.EngineStarted(pid=1, version="1")))
    cancelled, pruned = await bench.submit("cancelled"), await bench.submit("pruned")
    backup(bench.home, tmp_path / "copy.db")
    await bench.settle(live, usage())
    await bench.settle(await bench.start(ran), usage())
    await bench.start(runs)
    await bench.store.write(lambda tx: act(tx, Request(Verb.CANCEL, [cancelled], "somebody")))
    bench.now -= 40 * DAY
    await bench.settle(await bench.start(pruned), usage())
    bench.now += 40 * DAY
    assert len((await bench.prune()).gone) == 1
    await bench.store.close()

    done = restore(tmp_path / "copy.db", bench.home)
    assert (done.jobs, done.running, done.strangers, done.held) == (6, 1, 1, 5)
    store = await Store.open(bench.home)
    rows = {row.title: row for row in await store.read.rows([waits, ran, runs, running, cancelled, pruned])}
    assert {title for title, row in rows.items() if row.held_by == "restore"} == {*rows} - {"waits"}
    assert (await store.read.counts()).held == 5
    undone = await store.write(lambda tx: actions.undo(tx, "somebody", None, dry_run=False))
    assert len(undone.undone.restored) == 5
    await store.close()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        assert rebuild(connection) == {row.id: row for row in map(job_row, connection.execute(SELECT_JOB))}


async def test_another_homes_backup_holds_nothing(bench: Bench, saved: Path, tmp_path: Path) -> None:
    """Its jobs have the same numbers and are others."""
    other = Bench(await Store.open(tmp_path, clock=lambda: NOW + 5), tmp_path)
    other.now = NOW + 5
    for _ in range(4):
        await other.ended(days=0)
    await other.store.close()
    (tmp_path / "another").mkdir()
    (tmp_path / FILE).rename(tmp_path / "another" / FILE)
    assert restore(saved, tmp_path / "another").held == 0


async def test_output_that_was_compressed_since_is_there_to_settle_from(bench: Bench, tmp_path: Path) -> None:
    job = await bench.submit()
    attempt = await bench.start(job)
    text = b"it has ended\n" * 1_000
    stdout = bench.write_run(job, text)
    backup(bench.home, tmp_path / "copy.db")
    await bench.settle(attempt)
    compress(stdout)
    assert not stdout.exists()
    await bench.store.close()
    restore(tmp_path / "copy.db", bench.home)
    assert stdout.read_bytes() == text
    assert not kept_as(stdout).exists()
