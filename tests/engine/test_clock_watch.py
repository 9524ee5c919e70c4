"""The clock of the machine is set: it is noted, and what was put off by the clock as it was waits no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import clock_watch
from engine import events as log
from engine.clock_watch import ClockWatch
from engine.model import Failure
from engine.store import Store, clock, submit
from engine.store.fold import record
from engine.store.rows import SELECT_JOB, JobRow, job_row
from engine.store.writer import Transaction
from tests.conftest import PATIENCE
from tests.store.samples import NOON, accepted, connect

HOURS = 7_200_000


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    connection = connect(tmp_path / "headway.db")
    yield Transaction(connection, NOON)
    connection.close()


def _row(tx: Transaction, job: int) -> JobRow:
    return job_row(tx.connection.execute(f"{SELECT_JOB} WHERE id = ?", (job,)).fetchone())


def _put_off(tx: Transaction, job: int, by: int) -> None:
    row = record(tx, _row(tx, job), log.Claimed(number=1), attempt=job)
    record(tx, row, log.Requeued(Failure.OVERLOADED, "529", tx.now + by), attempt=job)


def test_what_waits_by_a_clock_that_was_set_back_waits_no_longer(tx: Transaction) -> None:
    before, late, named = submit.submit(tx, [accepted(agent="claude") for _ in range(3)])
    _put_off(tx, before, 6 * HOURS)  # until a reset that the provider told, by the right clock
    tx.now = NOON + HOURS
    _put_off(tx, late, 15_000)
    record(tx, _row(tx, named), log.Snoozed(by="me", not_before=tx.now + 1_000))
    tx.now = NOON + 60_000
    assert clock.was_set(tx, -HOURS) == 1
    assert _row(tx, late).not_before is None
    assert _row(tx, before).not_before == NOON + 6 * HOURS
    assert _row(tx, named).not_before == NOON + HOURS + 1_000, "the operator named it"
    noted = [event.body for event in tx.logged if isinstance(event.body, log.ClockSet)]
    assert noted == [log.ClockSet(by_ms=-HOURS, opened=1)]


def test_a_clock_that_was_set_ahead_opens_nothing_before_its_time(tx: Transaction) -> None:
    (job,) = submit.submit(tx, [accepted(agent="claude")])
    _put_off(tx, job, 9 * HOURS)
    tx.now = NOON + HOURS
    assert clock.was_set(tx, HOURS) == 0
    assert _row(tx, job).not_before == NOON + 9 * HOURS


class Rings:
    """In the place of the alarm: it rings each time that somebody has set the clock again."""

    def __init__(self, settings: list[int]) -> None:
        self.settings = settings

    async def until(self, at: int | None, now: int) -> None:
        assert at is None
        if not self.settings:
            await asyncio.Event().wait()

    def close(self) -> None: ...


async def test_a_step_of_a_time_server_is_not_told_and_a_jump_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0, 0, 59_000, 118_000, HOURS]
    monkeypatch.setattr(clock_watch, "_ahead_ms", lambda: ahead.pop(0))
    monkeypatch.setattr(clock_watch, "Alarm", lambda: Rings(ahead))
    told: list[log.AnyBody] = []
    store = await Store.open(tmp_path, lambda events: told.extend(event.body for event in events))
    woken = asyncio.Event()
    watching = asyncio.create_task(ClockWatch(store, woken.set).run())
    async with asyncio.timeout(PATIENCE):
        await woken.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await store.close()
    assert told == [log.ClockSet(by_ms=HOURS - 118_000)]
