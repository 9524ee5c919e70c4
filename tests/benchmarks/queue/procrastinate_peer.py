"""procrastinate on PostgreSQL with the server's own durable defaults, driven by the calls that its worker makes."""

from __future__ import annotations

import logging
from itertools import count
from typing import ClassVar

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Status

from tests.benchmarks.queue.postgres import Postgres
from tests.benchmarks.queue.systems import Asynchronous, Size, Work

CONNECTIONS = 16  #: of the pool: on two cores, more were no faster

_names = count()
_FINISHED_EVENTS = "('deferred'), ('started'), ('succeeded')"
_READY_EVENTS = "('deferred')"


class Procrastinate(Asynchronous):
    """procrastinate: `defer`, `fetch_job`, `finish_job`, with a pool of connections."""

    name: ClassVar[str] = "procrastinate"
    ways: ClassVar[dict[Work, str]] = {Work.CYCLE: "1 worker", Work.CYCLE_TOGETHER: "8 workers"}
    peer: ClassVar[bool] = True
    workers: ClassVar[int] = 8

    def __init__(self, server: Postgres, size: Size) -> None:
        super().__init__()
        logging.getLogger("procrastinate").setLevel(logging.WARNING)
        self._address = server.create(f"bench{next(_names)}")
        connector = PsycopgConnector(conninfo=self._address, min_size=1, max_size=CONNECTIONS)
        self.app = App(connector=connector)
        self.task = self.app.task(name="noop")(_noop)
        self.run(self._open())
        self._fill(size)

    async def _open(self) -> None:
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()
        self._worker = await self.app.job_manager.register_worker()

    def _fill(self, size: Size) -> None:
        """Rows past the triggers, then statistics and a checkpoint, so that no upkeep falls into the measurement."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute("SET session_replication_role = replica")
            for status, rows, events in (
                ("succeeded", size.finished, _FINISHED_EVENTS),
                ("todo", size.ready, _READY_EVENTS),
            ):
                if rows:
                    connection.execute(
                        "WITH made AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status, attempts) "
                        f"SELECT 'default', 'noop', '{status}', {int(status == 'succeeded')} "
                        f"FROM generate_series(1, {rows}) RETURNING id) "
                        "INSERT INTO procrastinate_events (job_id, type) SELECT made.id, "
                        f"told.type::procrastinate_job_event_type FROM made CROSS JOIN (VALUES {events}) AS told(type)"
                    )
            connection.execute("VACUUM (ANALYZE) procrastinate_jobs, procrastinate_events")
            connection.execute("CHECKPOINT")

    async def submit_one(self) -> None:
        await self.task.defer_async()

    async def submit_many(self, jobs: int) -> None:
        await self.task.batch_defer_async(*({},) * jobs)

    async def cycle(self) -> int:
        manager = self.app.job_manager
        job = await manager.fetch_job(queues=None, worker_id=self._worker)
        if job is None:
            return 0
        await manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
        return 1

    def size(self) -> int:
        """Bytes of the two tables that a job leaves rows in, with their indexes."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute("VACUUM procrastinate_jobs, procrastinate_events")
            found = connection.execute(
                "SELECT pg_total_relation_size('procrastinate_jobs') + pg_total_relation_size('procrastinate_events')"
            ).fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        self.run(self.app.close_async())
        self.end_loop()


async def _noop() -> None:
    """What every job of procrastinate does."""
