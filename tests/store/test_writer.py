"""Group commit: one fsync for all that wait, and nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine import events as log
from engine.errors import RefusedError, StorageError, UsageError
from engine.store.schema import open_writer
from engine.store.writer import BATCH_LIMIT, RollbackError, Transaction, Writer

Operation = Callable[[Transaction], int]


@dataclass
class Desk:
    """A writer whose statements are noted, and whose thread can be kept busy while a batch gathers."""

    writer: Writer
    connection: sqlite3.Connection
    published: list[list[log.Event]]
    statements: list[str] = field(default_factory=list)

    async def together(self, *operations: Operation) -> list[object]:
        """Run operations in one batch; their answers or errors."""
        busy, go_on = threading.Event(), threading.Event()

        def block(tx: Transaction) -> None:
            busy.set()
            go_on.wait()

        first = asyncio.ensure_future(self.writer.write(block))
        await asyncio.to_thread(busy.wait)
        self.statements.clear()
        rest = [asyncio.ensure_future(self.writer.write(operation)) for operation in operations]
        await asyncio.sleep(0)  # each has put itself into the queue
        go_on.set()
        await first
        return list(await asyncio.gather(*rest, return_exceptions=True))

    def count(self, beginning: str) -> int:
        return sum(statement.startswith(beginning) for statement in self.statements)

    def bodies(self) -> list[int]:
        """The pids of the logged events, in the order of the log."""
        found = self.connection.execute("SELECT json_extract(body, '$.pid') FROM events ORDER BY seq").fetchall()
        return [row[0] for row in found]

    def told(self) -> list[int]:
        return [event.body.pid for batch in self.published for event in batch if isinstance(event.body, log.Adopted)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    path = tmp_path / "headway.db"
    connection = open_writer(path)
    published: list[list[log.Event]] = []
    writer = Writer(connection, path, published.append)
    one = Desk(writer, connection, published)
    connection.set_trace_callback(one.statements.append)
    yield one
    await writer.close()


def note(pid: int, then: BaseException | None = None) -> Operation:
    def operation(tx: Transaction) -> int:
        tx.log(log.Adopted(pid=pid))
        if then is not None:
            raise then
        return pid

    return operation


def fill(tx: Transaction) -> int:
    """More than a database at its largest page count can take."""
    tx.connection.execute("CREATE TABLE large (x BLOB) STRICT")
    tx.connection.execute("INSERT INTO large VALUES (zeroblob(4000000))")
    return 0


async def test_many_writes_are_answered_after_one_commit(desk: Desk) -> None:
    answers = await desk.together(*(note(pid) for pid in range(200)))
    assert answers == list(range(200))
    assert desk.count("COMMIT") == 2, "one for what ran before, one for all two hundred"
    assert desk.count("BEGIN") == 1


async def test_a_flood_is_cut_into_batches(desk: Desk) -> None:
    answers = await desk.together(*(note(pid) for pid in range(2 * BATCH_LIMIT + 1)))
    assert answers == list(range(2 * BATCH_LIMIT + 1))
    assert desk.count("BEGIN") == 3


async def test_an_operation_that_raises_takes_nothing_else_with_it(desk: Desk) -> None:
    answers = await desk.together(note(1), note(2, UsageError("no")), note(3), note(4, KeyError("four")), note(5))
    assert answers[0] == 1
    assert isinstance(answers[1], UsageError)
    assert answers[2] == 3
    assert isinstance(answers[3], KeyError)
    assert answers[4] == 5
    assert desk.bodies() == desk.told() == [1, 3, 5]


async def test_a_broken_constraint_is_the_fault_of_one(desk: Desk) -> None:
    def broken(tx: Transaction) -> int:
        tx.log(log.Adopted(pid=2))
        tx.connection.execute("INSERT INTO counts (name, n) VALUES ('ready', 9)")
        return 2

    one, two, three = await desk.together(note(1), broken, note(3))
    assert (one, three) == (1, 3)
    assert isinstance(two, RefusedError)
    assert desk.bodies() == desk.told() == [1, 3]


async def test_a_dry_run_answers_and_leaves_no_trace(desk: Desk) -> None:
    one, two, three = await desk.together(note(1), note(2, RollbackError("it would")), note(3))
    assert (one, two, three) == (1, "it would", 3)
    assert desk.bodies() == desk.told() == [1, 3]


async def test_events_are_published_after_the_commit_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    seen: list[int] = []

    def publish(events: list[log.Event]) -> None:
        reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        (newest,) = reader.execute("SELECT max(seq) FROM events").fetchone()
        reader.close()
        assert newest >= events[-1].seq, "published before it was committed"
        seen.extend(event.seq for event in events)

    writer = Writer(open_writer(path), path, publish)
    rounds = [asyncio.gather(*(writer.write(note(n)) for n in range(50))) for _ in range(4)]
    await asyncio.gather(*rounds)
    await writer.close()
    assert seen == list(range(1, 201))


async def test_an_answer_comes_after_its_events_were_published(desk: Desk) -> None:
    await desk.writer.write(note(7))
    assert desk.told() == [7]


async def test_a_full_disk_refuses_the_whole_batch_and_the_writer_goes_on(desk: Desk) -> None:
    (pages,) = desk.connection.execute("PRAGMA page_count").fetchone()
    desk.connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    answers = await desk.together(note(1), note(2), fill, note(3))
    assert [type(answer) for answer in answers] == [StorageError] * 4
    assert all("is full" in str(answer) for answer in answers)
    assert desk.bodies() == desk.told() == []

    desk.connection.execute("PRAGMA max_page_count = 100000")
    assert await desk.writer.write(note(4)) == 4
    assert desk.bodies() == desk.told() == [4]


async def test_a_failing_commit_refuses_the_whole_batch(desk: Desk) -> None:
    def orphan(tx: Transaction) -> int:
        tx.connection.execute("PRAGMA defer_foreign_keys = ON")
        tx.connection.execute(
            "INSERT INTO attempts (job, number, agent, marker, engine, created_at) VALUES (99, 1, 'a', 'm', 'e', 0)"
        )
        return 0

    answers = await desk.together(note(1), orphan)
    assert [type(answer) for answer in answers] == [StorageError] * 2
    assert desk.bodies() == desk.told() == []
    assert await desk.writer.write(note(2)) == 2


async def test_a_lock_of_another_program_is_named(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    connection = open_writer(path)
    connection.execute("PRAGMA busy_timeout = 0")
    writer = Writer(connection, path, lambda events: None)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another program"):
        await writer.write(note(1))
    other.execute("ROLLBACK")
    assert await writer.write(note(2)) == 2
    other.close()
    await writer.close()


async def test_an_asker_who_went_away_does_no_harm(desk: Desk) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def block(tx: Transaction) -> None:
        busy.set()
        go_on.wait()

    first = asyncio.ensure_future(desk.writer.write(block))
    await asyncio.to_thread(busy.wait)
    gone, stays = (asyncio.ensure_future(desk.writer.write(note(pid))) for pid in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    go_on.set()
    assert await stays == 2
    await first
    assert gone.cancelled()
    assert desk.bodies() == desk.told() == [1, 2], "what was queued happens, and is told"


async def test_close_finishes_what_is_queued_and_takes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    writer = Writer(open_writer(path), path, lambda events: None)
    waiting = [asyncio.ensure_future(writer.write(note(pid))) for pid in range(50)]
    await asyncio.sleep(0)
    await writer.close()
    assert [await one for one in waiting] == list(range(50))
    with pytest.raises(StorageError, match="closed"):
        await writer.write(note(1))
    await writer.close()
    left = sqlite3.connect(path)
    assert left.execute("SELECT count(*) FROM events").fetchone() == (50,)
    left.close()


async def test_one_time_holds_for_a_whole_operation_and_comes_from_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    times = iter([1_000, 2_000])
    published: list[log.Event] = []
    writer = Writer(open_writer(path), path, published.extend, lambda: next(times))

    def two(tx: Transaction) -> int:
        tx.log(log.Adopted(pid=1))
        tx.log(log.Adopted(pid=2))
        return tx.now

    assert await writer.write(two) == 1_000
    assert await writer.write(two) == 2_000
    await writer.close()
    assert [event.at for event in published] == [1_000, 1_000, 2_000, 2_000]


@dataclass(frozen=True)
class Shared:
    """An operation that is done together with others like it; it fails where its pid is `wrong`."""

    pid: int
    wrong: bool = False

    def __call__(self, tx: Transaction) -> int:
        if self.wrong:
            raise UsageError(f"no {self.pid}")
        tx.log(log.Adopted(pid=self.pid))
        return self.pid

    @staticmethod
    def together(tx: Transaction, operations: Sequence[Shared]) -> list[int]:
        tx.log_all([(log.Adopted(pid=one.pid), None, None) for one in operations])
        if any(one.wrong for one in operations):
            raise UsageError("one of them is wrong")
        return [one.pid for one in operations]


async def test_operations_of_one_kind_share_their_work(desk: Desk) -> None:
    answers = await desk.together(Shared(1), Shared(2), note(3), Shared(4))
    assert answers == [1, 2, 3, 4]
    assert desk.bodies() == desk.told() == [1, 2, 3, 4]
    assert desk.count("SAVEPOINT") == 3, "one for the two that stand side by side"


async def test_one_wrong_among_those_that_share_spoils_none_of_the_others(desk: Desk) -> None:
    answers = await desk.together(Shared(1), Shared(2, wrong=True), Shared(3))
    assert answers[0] == 1
    assert isinstance(answers[1], UsageError) and str(answers[1]) == "no 2"
    assert answers[2] == 3
    assert desk.bodies() == desk.told() == [1, 3]
