"""Headway's store, without processes: the operations that the engine itself calls, in the writer that groups them.

Everything of this benchmark that knows the store is in here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import islice, pairwise
from pathlib import Path
from typing import ClassVar

from engine import events as log
from engine.agents.base import Outcome
from engine.config import Settings
from engine.dispatch.budget import Budget
from engine.dispatch.order import Line, Lineup
from engine.dispatch.settling import Ending, Rules, Settle
from engine.dispatch.snapshot import Configured, world_of
from engine.dispatch.world import Memory
from engine.model import JobSpec
from engine.store import Store, Transaction, claims, submit
from engine.store.claims import Claim
from engine.store.fold import RANK_BITS
from engine.store.store import FILE
from engine.store.submit import Accepted
from tests.benchmarks.queue.raw import SERIES, filling, widen_log
from tests.benchmarks.queue.systems import BATCH, Asynchronous, Size, Work

_SUCCEEDED = Ending(Outcome(succeeded=True), 0)
#: Slots are not what is measured.
_SETTINGS = Settings(max_running=10_000)
_CONFIGURED = Configured.of(_SETTINGS)
_RULES = Rules(_SETTINGS.max_attempts, Budget.of(_SETTINGS))

#: What differs between the copies of a job, as SQL over `i` (the copy's number, from 1), `j` (the event's place in the
#: job) and the constants :jobs, :attempts and :events (the newest ids before) and :each (events of one job).
_SHIFTED = {
    "jobs": {
        "id": ":jobs + i",
        "attempt": "iif(attempt IS NULL, NULL, :attempts + i)",
        "spec_seq": ":events + (i - 1) * :each + 1",
        "rank": f"(:events + (i - 1) * :each + 1) << {RANK_BITS}",
    },
    "attempts": {"id": ":attempts + i", "job": ":jobs + i"},
    "events": {
        "seq": ":events + (i - 1) * :each + j",
        "job": ":jobs + i",
        "attempt": "iif(attempt IS NULL, NULL, :attempts + i)",
    },
}


def _noop() -> Accepted:
    """What the engine makes of a job that does nothing, once it has accepted it."""
    return Accepted(JobSpec(prompt="true", agent="shell"), "true", "shell", None, None, None)


def _settle(attempt: int) -> Settle:
    return Settle(attempt, _SUCCEEDED, _RULES)


def _claim(tx: Transaction) -> list[Claim]:
    world = world_of(tx, _CONFIGURED, Memory())
    lines = [Line(one.lane, one.job, islice(claims.line(tx, one, BATCH), 1, None)) for one in claims.heads(tx)]
    return claims.claim(tx, Lineup(world, lines).take(BATCH), frozenset[str]().__contains__, "boot")


class Headway(Asynchronous):
    """A store in a home of its own. `written` counts the events of the submit, claim and settlement of one job."""

    name: ClassVar[str] = "Headway"
    ways: ClassVar[dict[Work, str]] = {
        Work.CYCLE: "64 a batch",
        Work.CYCLE_TOGETHER: "64 claimed, each settled by itself",
    }

    def __init__(self, home: Path, size: Size) -> None:
        super().__init__()
        self._home = home
        self._published = 0
        self.run(self._open())
        self.written: tuple[int, int, int] = self.run(self._samples())
        if size.rows:
            self.run(self.store.close())
            _copy(home / FILE, size)
            self.run(self._open())

    async def _open(self) -> None:
        self.store = await Store.open(self._home, self._publish)
        await self.store.read.counts()
        widen_log(self._home / FILE)

    def _publish(self, events: list[log.Event]) -> None:
        self._published += len(events)

    async def _samples(self) -> tuple[int, int, int]:
        """One job that has finished and one that is ready, made by the store itself."""
        counted = [self._published]
        for step in (self.submit_one, self.claim, self._settle_last):
            await step()
            counted.append(self._published)
        await self.submit_one()
        submitted, claimed, settled = (after - before for before, after in pairwise(counted))
        return submitted, claimed, settled

    async def submit_one(self) -> None:
        job = [_noop()]
        await self.store.write(submit.Admission(submit.Submission(job)))

    async def submit_many(self, jobs: int) -> None:
        many = [_noop() for _ in range(jobs)]
        await self.store.write(lambda tx: submit.submit(tx, many))

    async def claim(self) -> list[Claim]:
        """As a round of the dispatcher: look at the world, choose, and claim, in one transaction."""
        self._claimed: list[Claim] = await self.store.write(_claim)
        return self._claimed

    async def _settle_last(self) -> None:
        claimed = self._claimed
        await self.store.write(lambda tx: Settle.together(tx, [_settle(one.attempt.id) for one in claimed]))

    async def _settle(self, attempt: int) -> None:
        await self.store.write(_settle(attempt))

    async def cycle(self) -> int:
        claimed = await self.claim()
        await self._settle_last()
        return len(claimed)

    async def cycle_together(self) -> int:
        """Each settlement a write of its own, as from the tasks of 64 attempts that end at the same moment."""
        claimed = await self.claim()
        await asyncio.gather(*(self._settle(one.attempt.id) for one in claimed))
        return len(claimed)

    def size(self) -> int:
        self.run(self.store.close())  # the last connection to go puts the log into the database
        bytes_now = (self._home / FILE).stat().st_size
        self.run(self._open())
        return bytes_now

    def close(self) -> None:
        self.run(self.store.close())
        self.end_loop()


def _copy(path: Path, size: Size) -> None:
    """Fill a database with copies of its two jobs: the first has finished, the second is ready."""
    connection = filling(path)
    connection.execute("BEGIN")
    for job, rows in ((1, size.finished), (2, size.ready)):
        if rows:
            _copy_job(connection, job, rows)
    connection.execute("COMMIT")
    connection.close()


def _copy_job(connection: sqlite3.Connection, job: int, rows: int) -> None:
    values = {"rows": rows, "job": job, "each": _count(connection, f"SELECT count(*) FROM events WHERE job = {job}")}
    for table, column in (("jobs", "id"), ("attempts", "id"), ("events", "seq")):
        values[table] = _count(connection, f"SELECT ifnull(max({column}), 0) FROM {table}")
    for table, shifted in _SHIFTED.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        told = ", ".join(shifted.get(column, column) for column in columns)
        owner = "id" if table == "jobs" else "job"
        order = "seq" if table == "events" else "id"
        connection.execute(
            f"{SERIES} INSERT INTO {table} ({', '.join(columns)}) SELECT {told} FROM series CROSS JOIN "
            f"(SELECT *, row_number() OVER (ORDER BY {order}) AS j FROM {table} WHERE {owner} = :job)",
            values,
        )


def _count(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
