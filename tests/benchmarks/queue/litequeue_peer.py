"""litequeue, raised from its own synchronous=NORMAL to FULL, so that it promises what the others promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from litequeue import LiteQueue

from tests.benchmarks.queue.raw import SERIES, checkpointed, filling, widen_log
from tests.benchmarks.queue.systems import Blocking, Size, Work

_READY, _DONE = 0, 2  #: `litequeue.MessageStatus`


class Lite(Blocking):
    """litequeue. Threads share the queue to put, and have one each to take, as a transaction needs."""

    name: ClassVar[str] = "litequeue"
    ways: ClassVar[dict[Work, str]] = {Work.CYCLE: "1 worker", Work.CYCLE_TOGETHER: "2 workers"}
    peer: ClassVar[bool] = True
    workers: ClassVar[int] = 2  # more only wait for each other's lock

    def __init__(self, directory: Path, size: Size) -> None:
        self.path = directory / "lite.db"
        self._open().close()
        connection = filling(self.path)
        connection.execute("BEGIN")
        first = 0
        for status, rows in ((_DONE, size.finished), (_READY, size.ready)):
            if rows:
                connection.execute(
                    f"{SERIES} INSERT INTO Queue (data, message_id, status, in_time, lock_time, done_time) "
                    "SELECT 'true', printf('%08x-0000-7000-8000-%012x', 0, :first + i), :status, i, "
                    "iif(:status = 2, i, NULL), iif(:status = 2, i, NULL) FROM series",
                    {"rows": rows, "first": first, "status": status},
                )
            first += rows
        connection.execute("COMMIT")
        connection.close()
        self.queue = self._open()
        self.queue.peek()
        widen_log(self.path)
        self._more: list[LiteQueue] = []

    def _open(self) -> LiteQueue:
        queue = LiteQueue(self.path, timeout=30.0)
        queue.conn.execute("PRAGMA synchronous = FULL")
        return queue

    def submit_one(self) -> None:
        self.queue.put("true")

    def submit_many(self, jobs: int) -> None:
        with self.queue.transaction("IMMEDIATE"):
            for _ in range(jobs):
                self.queue.put("true")

    def cycle(self) -> int:
        return _cycle(self.queue)

    def worker(self) -> Callable[[], int]:
        own = self._open()
        self._more.append(own)
        return lambda: _cycle(own)

    def size(self) -> int:
        self._close_workers()
        return checkpointed(self.queue.conn, self.path)

    def close(self) -> None:
        self._close_workers()
        self.queue.close()

    def _close_workers(self) -> None:
        while self._more:
            self._more.pop().close()


def _cycle(queue: LiteQueue) -> int:
    message = queue.pop()
    if message is None:
        return 0
    queue.done(message.message_id)
    return 1
