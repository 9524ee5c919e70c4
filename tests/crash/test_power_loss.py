"""The promise: what was answered survives a power loss, and the database opens clean, whatever had reached the disk.

A power loss is a copy of the database's files at one moment: the engine that writes them is stopped where it stands, in
the middle of whatever it does. What had not been synced may be lost as well: SQLite's own crash tests cut and tear the
journal in the same way, and what is past its last whole commit must not count.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import events as log
from engine.agents.base import Outcome
from engine.model import JobSpec
from engine.server.client import Client
from engine.store import Store, claims, jobs
from engine.store.jobs import Settlement
from engine.store.rows import SELECT_JOB, JobRow, job_row
from engine.store.store import FILE
from engine.store.submit import Accepted, submit
from engine.store.writer import Transaction
from engine.upkeep.reading import reading
from tests.conftest import PATIENCE, settings_file
from tests.crash import checks
from tests.crash.foundry import Wanted
from tests.crash.ledger import Ledger
from tests.crash.load import Load
from tests.crash.nursery import Engine, Nursery
from tests.crash.work import Work
from tests.store.samples import first

pytestmark = pytest.mark.long

WAL, SHM = f"{FILE}-wal", f"{FILE}-shm"
FRAME_HEAD, WAL_HEAD = 24, 32  #: bytes, of SQLite's journal: section 4 of its file format
LOSSES = 12  #: moments at which the power goes
CUTS = 15  #: places at which a journal ends
WRITERS = 8


@dataclass(slots=True)
class Busy:
    """Submits, claims and settles in a store from many coroutines, and knows what was answered."""

    store: Store
    answered: set[int]

    async def work(self, number: int) -> None:
        done = Settlement(Outcome(succeeded=True, result="x" * 500), 0)
        while True:
            ids = await self.store.write(lambda tx: submit(tx, [_job(number)] * 3))
            self.answered.update(ids)
            for claim in await self.store.write(_claim):
                attempt = claim.attempt.id
                await self.store.write(lambda tx, attempt=attempt: jobs.settle(tx, attempt, done))


def _job(number: int) -> Accepted:
    return Accepted(JobSpec(prompt="true " + "#" * 300), f"job of {number}", "shell", None, None, None)


def _claim(tx: Transaction) -> Sequence[claims.Claim]:
    return claims.claim(tx, first(tx, 2), lambda _: False, "boot")


def lose_power(home: Path, to: Path, *parts: str) -> Path:
    """What is on the disk, part by part while it is written."""
    to.mkdir()
    for part in parts:
        if (home / part).exists():
            shutil.copyfile(home / part, to / part)
    return to


async def opened(home: Path) -> dict[int, JobRow]:
    """Open it as an engine does, find it sound, write one more job, and read all of them from the disk again."""
    store = await Store.open(home)
    try:
        (new,) = await store.write(lambda tx: submit(tx, [_job(0)]))
    finally:
        await store.close()
    with reading(home / FILE) as connection:
        rows = checks.sound(connection)
    assert new in rows
    return rows


@dataclass(frozen=True, slots=True)
class Loss:
    """What was on the disk at a moment, and what had been answered before it."""

    at: Path
    answered: frozenset[int]


async def stand_still(engine: Engine) -> None:
    """Stop all threads of an engine where they are."""
    engine.send(signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        while not all(_stands(task) for task in Path(f"/proc/{engine.pid}/task").iterdir()):
            await asyncio.sleep(0)


def _stands(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


async def test_whenever_the_power_goes_what_was_answered_is_there(home: Path, tmp_path: Path, repository: Path) -> None:
    settings_file(home, "max_running: 8\ngrace: 0.3\n")
    rng = random.Random()
    ledger, work = Ledger(), Work(tmp_path / "work", repository, rng)
    work.prepare()
    losses: list[Loss] = []
    async with Nursery() as nursery:
        engine = await nursery.bear(Wanted(str(home), 0))
        assert await engine.ready
        async with Load(home, ledger, work, rng).put(), asyncio.timeout(PATIENCE):
            for number in range(LOSSES):
                heard = ledger.seq + rng.randrange(1, 60)
                await ledger.until(lambda heard=heard: ledger.seq >= heard)
                answered = frozenset(ledger.acknowledged)
                await stand_still(engine)
                losses.append(Loss(lose_power(home, tmp_path / f"loss-{number}", FILE, WAL, SHM), answered))
                engine.send(signal.SIGCONT)
                await asyncio.wait({engine.dead}, timeout=rng.uniform(0, 0.05))
            engine.send(signal.SIGKILL)
        await engine.dead
        engine = await nursery.bear(Wanted(str(home), 0))
        assert await engine.ready
        async with Client(home) as client:
            await Load(home, ledger, work, rng).let_all_end(client)
    assert losses[-1].answered
    for loss in losses:
        for parts in ((FILE, WAL), (FILE, WAL, SHM)):
            rows = await opened(lose_power(loss.at, loss.at / str(len(parts)), *parts))
            assert loss.answered <= rows.keys(), parts


async def journalled(home: Path) -> set[int]:
    """A database with part of what it holds in a journal that no engine has taken over: it was killed."""
    home.mkdir()
    store = await Store.open(home)
    # What was taken over from the journal had been synced in it before: it could not be cut off any more.
    await store.write(lambda tx: tx.connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone())
    busy = Busy(store, set())
    async with asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(busy.work(number)) for number in range(WRITERS)]
        while len(busy.answered) < 300:
            await asyncio.sleep(0)
        for one in working:
            one.cancel()
    await store.write(lambda tx: None)  # what was on its way has come
    lose_power(home, home.with_name("killed"), FILE, WAL)
    await store.close()
    return busy.answered


Damage = Callable[[Path, random.Random], None]


def cut(journal: Path, rng: random.Random) -> None:
    """The journal ends anywhere: the rest had not reached the disk."""
    os.truncate(journal, rng.randrange(journal.stat().st_size))


def cut_in_a_head(journal: Path, rng: random.Random) -> None:
    """It ends within the head of a frame."""
    frame = FRAME_HEAD + 4096
    frames = (journal.stat().st_size - WAL_HEAD) // frame
    os.truncate(journal, WAL_HEAD + rng.randrange(frames) * frame + rng.randrange(FRAME_HEAD))


def tear(journal: Path, rng: random.Random) -> None:
    """Of its last pages some sectors are as they were before: nothing, or what an earlier journal left there."""
    size = journal.stat().st_size
    with journal.open("r+b") as file:
        for _ in range(rng.randrange(1, 6)):
            sector = max(0, size - rng.randrange(1, 40_000)) // 512 * 512
            file.seek(sector)
            file.write(rng.choice((bytes(512), rng.randbytes(512)))[: size - sector])


def lengthen(journal: Path, rng: random.Random) -> None:
    """The file has grown already, and what was to be written there has not come."""
    with journal.open("ab") as file:
        file.write(rng.choice((bytes, rng.randbytes))(rng.randrange(1, 20_000)))


@pytest.mark.parametrize("damage", [cut, cut_in_a_head, tear, lengthen])
async def test_a_journal_that_broke_off_counts_up_to_its_last_whole_commit(
    home: Path, tmp_path: Path, damage: Damage
) -> None:
    answered = await journalled(home)
    killed = home.with_name("killed")
    whole = await opened(lose_power(killed, tmp_path / "whole", FILE, WAL))
    assert answered <= whole.keys()
    rng = random.Random(11)
    found = set()
    for number in range(CUTS):
        copy = lose_power(killed, tmp_path / f"{damage.__name__}-{number}", FILE, WAL)
        damage(copy / WAL, rng)
        rows = await opened(copy)
        ids = sorted(rows)[:-1]
        # Commits are whole or not there, in their order: jobs get their ids in that order too.
        assert ids == list(range(1, len(ids) + 1))
        assert set(ids) <= whole.keys()
        found.add(len(ids))
    if damage is lengthen:
        assert found == {len(whole) - 1}, "all that was answered is there"
    elif damage is not tear:
        assert len(found) > 3, "it broke off at different places"


async def test_a_database_without_its_journal_is_as_old_as_what_was_taken_over(home: Path, tmp_path: Path) -> None:
    answered = await journalled(home)
    copy = lose_power(home.with_name("killed"), tmp_path / "copy", FILE)
    assert len(await opened(copy)) <= len(answered) + 1


async def test_the_log_that_is_left_is_what_the_table_says(home: Path) -> None:
    """What is read back after a loss is the log's own telling, event by event."""
    await journalled(home)
    store = await Store.open(home.with_name("killed"))
    try:
        events = await store.read.events(0, 100_000)
        rows = await store.look(lambda tx: {row.id: row for row in map(job_row, tx.connection.execute(SELECT_JOB))})
    finally:
        await store.close()
    submitted = [event.job for event in events if isinstance(event.body, log.Submitted)]
    assert sorted(rows) == sorted(job for job in submitted if job is not None)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
