"""Jobs and endings in their shortest form, and a store whose clock the test moves."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine import events as log
from engine.agents.base import Outcome
from engine.model import ActionResult, Failure, JobSpec, Usage, Verb
from engine.store import Store, claims, jobs, submit, verbs
from engine.store.claims import Claim
from engine.store.jobs import Requeue, Settlement
from engine.store.rows import JOB_COLUMNS, JobRow, job_row
from engine.store.schema import open_writer
from engine.store.submit import Accepted
from engine.store.writer import Transaction

NOON = 1_760_000_000_000


def accepted(
    prompt: str = "do it",
    *,
    title: str | None = None,
    agent: str = "shell",
    model: str | None = None,
    project: str | None = None,
    priority: int = 5,
    not_before: int | None = None,
    account: str | None = None,
) -> Accepted:
    spec = JobSpec(prompt=prompt, priority=priority)
    return Accepted(spec, title or prompt, agent, model, project, not_before, account)


def success(*usage: Usage, session: str | None = None) -> Settlement:
    return Settlement(Outcome(succeeded=True, result="done", usage=usage, session=session), 0)


def failure(*usage: Usage, kind: Failure = Failure.CRASHED, back: int | None = None) -> Settlement:
    """A failed ending; with `back` the job goes into the queue again, at that time or with 0 at once."""
    requeue = None if back is None else Requeue(back or None)
    return Settlement(Outcome(succeeded=False, failure=kind, reason="it broke", usage=usage), 1, requeue=requeue)


@dataclass
class Clock:
    now: int = NOON

    def __call__(self) -> int:
        return self.now


@dataclass
class Bench:
    """A store, everything that it published, and its clock."""

    store: Store
    path: Path
    clock: Clock
    published: list[log.Event] = field(default_factory=list)

    async def submit(self, *wanted: Accepted) -> list[int]:
        return await self.store.write(lambda tx: submit.submit(tx, wanted))

    async def claim(self, count: int = 1, agent: str = "shell", boot: str = "boot") -> list[Claim]:
        """Give the first so many jobs of an agent to attempts."""
        return await self.store.write(lambda tx: claims.claim(tx, first(tx, count, agent), lambda _: False, boot))

    async def settle(self, attempt: int, end: Settlement) -> JobRow:
        return await self.store.write(lambda tx: jobs.settle(tx, attempt, end))

    async def act(self, verb: Verb, ids: Sequence[int], *, dry_run: bool = False) -> ActionResult:
        request = verbs.Request(verb, ids, "tester", dry_run=dry_run)
        return (await self.store.write(lambda tx: verbs.act(tx, request))).result

    async def row(self, job: int) -> JobRow:
        (row,) = await self.store.read.rows([job])
        return row


def first(tx: Transaction, count: int, agent: str = "shell") -> list[JobRow]:
    """The startable jobs of an agent, by priority and place."""
    found = [row for head in claims.heads(tx) if head.lane.agent == agent for row in claims.line(tx, head, count)]
    return sorted(found, key=lambda row: (row.priority, row.rank))[:count]


def connect(path: Path) -> sqlite3.Connection:
    """A writing connection outside the store, for tests that need no group commit."""
    return open_writer(path)


def transaction(connection: sqlite3.Connection, now: int = NOON) -> Transaction:
    return Transaction(connection, now)


def table(connection: sqlite3.Connection) -> dict[int, JobRow]:
    """The rows of `jobs` by id."""
    found = connection.execute(f"SELECT {', '.join(JOB_COLUMNS)} FROM jobs").fetchall()
    return {row.id: row for row in map(job_row, found)}


def plan(connection: sqlite3.Connection, sql: str, values: Sequence[object] | None = None) -> str:
    """What SQLite would do for a statement, one step a line."""
    given = values if values is not None else [1] * sql.count("?")
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", given))
