"""huey on SQLite, with `fsync=True`: every commit is on the disk.

A job leaves the database when it is taken, so nothing of a job that finished, or was lost, is kept. Its storage has one
connection behind one lock; that is all the concurrency there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from huey import SqliteHuey

from tests.benchmarks.queue.raw import SERIES, checkpointed, filling, widen_log
from tests.benchmarks.queue.systems import Blocking, Size, Work


class Huey(Blocking):
    """huey, driven as its own consumer drives it: `dequeue`, then `execute`."""

    name: ClassVar[str] = "huey"
    ways: ClassVar[dict[Work, str]] = {Work.CYCLE: "1 worker", Work.CYCLE_TOGETHER: "4 workers"}
    works: ClassVar[frozenset[Work]] = frozenset(Work) - {Work.BULK}
    keeps_finished: ClassVar[bool] = False
    peer: ClassVar[bool] = True
    workers: ClassVar[int] = 4

    def __init__(self, directory: Path, size: Size) -> None:
        self.path = directory / "huey.db"
        self.huey = SqliteHuey("bench", filename=str(self.path), fsync=True)
        self.task = self.huey.task(name="noop")(_noop)
        if size.ready:
            data = self.huey.serialize_task(self.task.s())
            self.huey.storage.close()
            connection = filling(self.path)
            connection.execute("BEGIN")
            connection.execute(
                f"{SERIES} INSERT INTO task (queue, data, priority) SELECT 'bench', :data, 0 FROM series",
                {"rows": size.ready, "data": data},
            )
            connection.execute("COMMIT")
            connection.close()
        self.huey.storage.sql("select id from task limit 1")  # opens it
        widen_log(self.path)

    def submit_one(self) -> None:
        self.huey.enqueue(self.task.s())

    def cycle(self) -> int:
        task = self.huey.dequeue()
        if task is None:
            return 0
        self.huey.execute(task)
        return 1

    def size(self) -> int:
        return checkpointed(self.huey.storage.conn, self.path)

    def close(self) -> None:
        self.huey.storage.close()


def _noop() -> None:
    """What every job of huey does."""
