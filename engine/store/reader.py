"""Reading: a few read-only connections, so that no reader waits for the writer and no long read for a short one."""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import msgspec

from engine import events as log
from engine.model import ActionLine, Batch, Counts, Grade, JobSpec, State, Usage
from engine.model.listing import Sort
from engine.store import pattern
from engine.store.filter import Filter
from engine.store.rows import (
    SELECT_ATTEMPT,
    SELECT_JOB,
    SELECT_USAGE,
    AttemptRow,
    JobRow,
    attempt_rows,
    job_row,
    spec_in,
    usage_row,
)
from engine.store.schema import BUSY_MS, storage_error
from engine.store.sorting import QUEUE, sorted_ids
from engine.threads import to_its_end

T = TypeVar("T")

_OPEN_CARDS = "SELECT count(*) FROM decisions WHERE answered_at IS NULL AND snoozed_until IS NULL"

CONNECTIONS = 3  #: a list of a million ids takes one of them for a moment; the others stay free

#: The console's order, each part along an index of its own.
ORDER = (
    (
        frozenset({State.RUNNING, State.GATING}),
        "SELECT id FROM jobs WHERE state IN ('running', 'gating') AND {where} ORDER BY priority, id LIMIT ?",
    ),
    (
        frozenset({State.READY, State.BLOCKED}),
        "SELECT id FROM jobs WHERE state IN ('ready', 'blocked') AND {where} ORDER BY priority, rank, id LIMIT ?",
    ),
    (
        frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
        "SELECT id FROM jobs WHERE ended_at IS NOT NULL AND {where} ORDER BY ended_at DESC, id DESC LIMIT ?",
    ),
)
FAILED_FIRST = "SELECT id FROM jobs WHERE state = 'failed' AND {where} ORDER BY ended_at DESC, id DESC LIMIT ?"

#: Bodies of one answer, in characters: a submission carries its prompt, and a page of long ones must not fill memory.
EVENTS_LIMIT = 4 << 20

# The running sum stops a page once it is full; its first event is always in it.
_PAGE = (
    "SELECT seq, at, job, attempt, body FROM (SELECT *, sum(length(body)) OVER (ORDER BY seq) - length(body) AS before "
    "FROM (SELECT seq, at, job, attempt, body FROM events WHERE {which} ORDER BY seq LIMIT ?)) "
    f"WHERE before < {EVENTS_LIMIT} ORDER BY seq"
)
_EVENTS = _PAGE.format(which="seq > ?")
_EVENTS_OF_JOB = _PAGE.format(which="job = ? AND seq > ?")
_EVENTS_NEWEST = (
    "SELECT seq, at, job, attempt, body FROM (SELECT *, sum(length(body)) OVER (ORDER BY seq DESC) - length(body) "
    "AS behind FROM (SELECT seq, at, job, attempt, body FROM events ORDER BY seq DESC LIMIT ?)) "
    f"WHERE behind < {EVENTS_LIMIT} ORDER BY seq"
)

_BODY = msgspec.json.Decoder(log.AnyBody).decode  #: which takes longer to make than a page of events to read

DAY_MS = 86_400_000
_SPEND = (
    "SELECT grade, ifnull(sum(cost_micros), 0), sum(cost_micros IS NULL) FROM ("
    "SELECT grade, cost_micros FROM ledger WHERE at >= ? "
    "UNION ALL SELECT grade, cost_micros FROM pruned_usage WHERE day >= ?) GROUP BY grade"
)


class Reader:
    """A small pool of read-only connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._all: list[aiosqlite.Connection] = []
        self._looking = asyncio.Lock()
        self._own: sqlite3.Connection | None = None

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            connection = await aiosqlite.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            self._all.append(connection)
            await connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            await connection.create_function("regexp", 2, pattern.matches, deterministic=True)
            self._free.put_nowait(connection)

    async def close(self) -> None:
        for connection in self._all:
            await connection.close()
        self._all.clear()
        async with self._looking:
            if self._own is not None:
                self._own.close()
                self._own = None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosqlite.Connection]:
        connection = await self._free.get()
        try:
            yield connection
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error
        finally:
            self._free.put_nowait(connection)

    async def look(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask several things of one moment of the database, in a thread, on a connection for this alone."""
        async with self._looking:
            return await to_its_end(lambda: self._look(question))

    def _look(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._own is None:
                uri = f"{self._path.absolute().as_uri()}?mode=ro"
                self._own = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
                self._own.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
                pattern.teach(self._own)
            self._own.execute("BEGIN")
            try:
                return question(self._own)
            finally:
                self._own.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error

    async def _all_rows(self, sql: str, values: Iterable[Any] = ()) -> list[Any]:
        async with self._connection() as connection:
            return list(await connection.execute_fetchall(sql, tuple(values)))

    async def order(self, chosen: Filter, limit: int = -1, sort: Sort = QUEUE) -> array[int]:
        """Ids that match, in the console's order or sorted; at most `limit` of them where that is not negative."""
        ids: array[int] = array("q")
        if sort != QUEUE:
            sql = sorted_ids(sort).format(where=chosen.where)
            async with self._connection() as connection:
                found = await connection.execute_fetchall(sql, (*chosen.values, limit))
            ids.extend(row[0] for row in found)
            return ids
        async with self._connection() as connection:
            # One look for all parts: a job that moves meanwhile would stand in two of them, or in none.
            try:
                await connection.execute("BEGIN")
                for states, sql in ORDER:
                    if not states & chosen.states or len(ids) == limit:
                        continue
                    if states & chosen.states == {State.FAILED}:
                        sql = FAILED_FIRST
                    left = -1 if limit < 0 else limit - len(ids)
                    found = await connection.execute_fetchall(sql.format(where=chosen.where), (*chosen.values, left))
                    ids.extend(row[0] for row in found)
            finally:
                await connection.rollback()
        return ids

    async def rows(self, ids: Sequence[int]) -> list[JobRow]:
        """The named jobs in the order asked; what does not exist is left out."""
        sql = f"{SELECT_JOB} WHERE id IN (SELECT value FROM json_each(?))"
        found = {row[0]: row for row in await self._all_rows(sql, (msgspec.json.encode(list(ids)).decode(),))}
        return [job_row(found[job]) for job in ids if job in found]

    async def spec(self, row: JobRow) -> JobSpec:
        found = await self._all_rows("SELECT body FROM events WHERE seq = ?", (row.spec_seq,))
        return spec_in(found[0][0])

    async def attempts(self, job: int) -> list[AttemptRow]:
        """All attempts of a job, oldest first."""
        return attempt_rows(await self._all_rows(f"{SELECT_ATTEMPT} WHERE job = ? ORDER BY number", (job,)))

    async def usage(self, attempt: int) -> list[Usage]:
        return [usage_row(row) for row in await self._all_rows(SELECT_USAGE, (attempt,))]

    async def events(self, after: int, limit: int = 500, job: int | None = None) -> list[log.Event]:
        """A page of the log after a sequence number, oldest first; of one job where it is named. Empty at its end."""
        if job is None:
            return _events(await self._all_rows(_EVENTS, (after, limit)))
        return _events(await self._all_rows(_EVENTS_OF_JOB, (job, after, limit)))

    async def newest_events(self, limit: int) -> list[log.Event]:
        return _events(await self._all_rows(_EVENTS_NEWEST, (limit,)))

    async def newest_seq(self) -> int:
        return int((await self._all_rows("SELECT ifnull(max(seq), 0) FROM events"))[0][0])

    async def counts(self) -> Counts:
        return Counts(**{str(name): int(n) for name, n in await self._all_rows("SELECT name, n FROM counts")})

    async def open_cards(self) -> int:
        """How many decisions wait for the operator, and are not put aside."""
        return int(
            (
                await self._all_rows(
                    "SELECT count(*) FROM decisions WHERE answered_at IS NULL AND snoozed_until IS NULL"
                )
            )[0][0]
        )

    async def held_all(self) -> str | None:
        found = await self._all_rows("SELECT by FROM holds WHERE scope = 'all'")
        return str(found[0][0]) if found else None

    async def caps(self) -> dict[str, int]:
        """The operator's caps, by scope."""
        return dict(await self._all_rows("SELECT scope, n FROM caps"))

    async def caps_by(self) -> dict[str, str]:
        """Who set each of the operator's caps."""
        return dict(await self._all_rows("SELECT scope, by FROM caps"))

    async def actions(self, limit: int) -> list[ActionLine]:
        """The newest of what the operator did."""
        found = await self._all_rows(
            "SELECT id, at, verb, by, json_array_length(jobs), undone_at FROM actions ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [ActionLine(**dict(zip(ActionLine.__struct_fields__, row, strict=True))) for row in found]

    async def batches(self, limit: int) -> list[Batch]:
        """The newest batches, and how their jobs stand."""
        found = await self._all_rows(
            "SELECT b.id, b.name, b.at, b.follow_up, j.state, count(*) FROM "
            "(SELECT * FROM batches ORDER BY id DESC LIMIT ?) AS b LEFT JOIN jobs AS j ON j.batch = b.id "
            "GROUP BY b.id, j.state ORDER BY b.id DESC",
            (limit,),
        )
        batches: dict[int, Batch] = {}
        for number, name, at, follow_up, state, count in found:
            one = batches.setdefault(number, Batch(id=number, name=name, at=at, follow_up=follow_up))
            if state is not None:
                one.counts[State(state)] = count
        return list(batches.values())

    async def dependencies(self, job: int) -> tuple[dict[int, str], list[int]]:
        """What a job comes after, with how each has ended (empty text where it has not), and what comes after it."""
        after = await self._all_rows("SELECT needs, ifnull(outcome, '') FROM dependencies WHERE job = ?", (job,))
        before = await self._all_rows("SELECT job FROM dependencies WHERE needs = ? ORDER BY job LIMIT 1000", (job,))
        return dict(after), [int(row[0]) for row in before]

    async def spend_since(self, since: int) -> tuple[int, Grade]:
        """Micro-dollars from a time on, under the worst grade of the parts.

        Of what was pruned only days are known: one counts where most of it lies after that time.
        """
        found = await self._all_rows(_SPEND, (since, since - DAY_MS // 2))
        if not found:
            return 0, Grade.REPORTED
        order = list(Grade)
        grades = [Grade.UNKNOWN if unpriced else Grade(grade) for grade, _, unpriced in found]
        return sum(int(cost) for _, cost, _ in found), max(grades, key=order.index)


def _events(rows: Iterable[Any]) -> list[log.Event]:
    return [
        log.Event(seq=seq, at=at, job=job, attempt=attempt, body=_BODY(body)) for seq, at, job, attempt, body in rows
    ]
