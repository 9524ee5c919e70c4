"""Reading: the console's order, one consistent look, and plans that never walk through all jobs."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from engine import events as log
from engine.config import Settings
from engine.dispatch.snapshot import Configured, world_of
from engine.dispatch.world import Memory
from engine.errors import StorageError
from engine.model import Counts, State, Verb
from engine.model.listing import Sort, SortKey
from engine.store import Transaction, claims, jobs, queue, reader, rows, submit
from engine.store.filter import EVERYTHING, parse
from engine.store.reader import Reader
from engine.store.trend import trend
from tests.store.samples import NOON, Bench, accepted, connect, failure, first, plan, success, transaction
from tests.waiting import PATIENCE


@pytest.fixture
async def crowd(bench: Bench) -> Bench:
    """Sixty jobs: 20 ended one a second, 10 running, 30 queued, all of mixed priority."""
    dice = random.Random(7)
    await bench.submit(*(accepted(f"job {n}", priority=dice.randrange(10)) for n in range(60)))
    claims = await bench.claim(30)
    for claim in claims[:20]:
        bench.clock.now += 1_000
        end = success() if claim.job.id % 3 else failure()
        await bench.settle(claim.attempt.id, end)
    return bench


async def test_what_runs_comes_first_then_the_queue_by_priority_then_what_ended_last(crowd: Bench) -> None:
    ids = list(await crowd.store.read.order(EVERYTHING))
    rows = await crowd.store.read.rows(ids)
    assert sorted(ids) == list(range(1, 61))
    running, queued, ended = rows[:10], rows[10:40], rows[40:]
    assert {row.state for row in running} == {State.RUNNING}
    assert {row.state for row in queued} == {State.READY}
    assert {row.state for row in ended} == {State.SUCCEEDED, State.FAILED}
    for part in (running, queued):
        assert part == sorted(part, key=lambda row: (row.priority, row.id))
    assert ended == sorted(ended, key=lambda row: (-(row.ended_at or 0), -row.id))


@pytest.mark.parametrize("limit", [0, 1, 9, 10, 11, 40, 45, 60, 99])
async def test_a_limit_cuts_the_same_order(crowd: Bench, limit: int) -> None:
    everything = await crowd.store.read.order(EVERYTHING)
    assert await crowd.store.read.order(EVERYTHING, limit) == everything[:limit]


async def test_a_filter_keeps_the_order(crowd: Bench) -> None:
    everything = await crowd.store.read.order(EVERYTHING)
    rows = {row.id: row for row in await crowd.store.read.rows(everything)}
    for text, wanted in {
        "state:failed": {State.FAILED},
        "state:failed,running": {State.FAILED, State.RUNNING},
        "!state:ready": {State.FAILED, State.RUNNING, State.SUCCEEDED},
        "state:failed state:running": set[State](),
    }.items():
        found = await crowd.store.read.order(parse(text))
        assert list(found) == [job for job in everything if rows[job].state in wanted], text


@pytest.mark.parametrize("key", [key for key in SortKey if key is not SortKey.QUEUE])
async def test_a_list_is_sorted_by_any_column_and_turned_around(crowd: Bench, key: SortKey) -> None:
    await crowd.act(Verb.HOLD, list(await crowd.store.read.order(parse("state:ready"), 4)))
    found = await crowd.store.read.order(EVERYTHING, sort=Sort(key))
    ids = await crowd.store.read.order(EVERYTHING, sort=Sort(key, reverse=True))
    assert sorted(found) == sorted(ids) == list(range(1, 61))
    rows = {row.id: row for row in await crowd.store.read.rows(found)}
    values = [_SAID[key](rows[job]) for job in found]
    assert values == sorted(values), key
    turned = [_SAID[key](rows[job]) for job in ids]
    assert turned == sorted(turned, reverse=True), key
    assert await crowd.store.read.order(EVERYTHING, 7, Sort(key)) == found[:7]
    failed = await crowd.store.read.order(parse("state:failed"), sort=Sort(key))
    assert list(failed) == [job for job in found if rows[job].state is State.FAILED]


_STANDS = {State.FAILED: 1, State.RUNNING: 2, State.READY: 6, State.SUCCEEDED: 7}
_SAID: dict[SortKey, Callable[[rows.JobRow], object]] = {
    SortKey.ID: lambda row: -row.id,
    SortKey.PRIORITY: lambda row: row.priority,
    SortKey.STATE: lambda row: 5 if row.held_by else _STANDS[row.state],
    SortKey.AGE: lambda row: row.ended_at or row.started_at or row.created_at,
    SortKey.COST: lambda row: -(row.cost_micros or -1),
    SortKey.TOKENS: lambda row: -(row.input_tokens + row.output_tokens),
    SortKey.ATTEMPTS: lambda row: -row.attempts,
    SortKey.TITLE: lambda row: row.title.lower(),
    SortKey.AGENT: lambda row: (row.agent, row.model or "", row.account or ""),
    SortKey.PROJECT: lambda row: row.project or "",
}


async def test_a_job_that_moves_meanwhile_is_listed_once(crowd: Bench) -> None:
    """The order is read in three parts; all see the same moment, or a job could be in two of them or in none."""
    victim = (await crowd.store.read.order(parse("state:running")))[0]
    queued = (await crowd.store.read.order(parse("state:ready")))[0]
    moved: list[str] = []

    def move(statement: str) -> None:
        if "'ready'" in statement and not moved:
            moved.append(statement)
            other = sqlite3.connect(crowd.path, isolation_level=None)
            other.execute("UPDATE jobs SET state = 'succeeded', ended_at = ? WHERE id = ?", (NOON, victim))
            other.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (queued,))
            other.close()

    for connection in crowd.store.read._all:
        await connection.set_trace_callback(move)
    ids = list(await crowd.store.read.order(EVERYTHING))
    assert moved
    assert sorted(ids) == list(range(1, 61))


async def test_rows_come_in_the_order_asked_without_what_does_not_exist(crowd: Bench) -> None:
    found = await crowd.store.read.rows([7, 999, 3, 1 << 70, 7, -1])
    assert [row.id for row in found] == [7, 3, 7]
    assert await crowd.store.read.rows([]) == []


async def test_the_log_is_read_in_pieces_without_gap_or_repeat(crowd: Bench) -> None:
    seen: list[log.Event] = []
    while piece := await crowd.store.read.events(seen[-1].seq if seen else 0, 17):
        assert len(piece) <= 17
        seen += piece
    assert seen == crowd.published
    assert await crowd.store.read.newest_events(5) == seen[-5:]
    assert await crowd.store.read.newest_seq() == seen[-1].seq
    of_job = await crowd.store.read.events(0, job=seen[-1].job)
    assert of_job == [event for event in seen if event.job == seen[-1].job]


async def test_counts_are_kept_and_not_counted(crowd: Bench) -> None:
    await crowd.act(Verb.HOLD, list(await crowd.store.read.order(parse("state:ready"), 4)))
    counts = await crowd.store.read.counts()
    assert counts == Counts(ready=30, running=10, succeeded=counts.succeeded, failed=counts.failed, held=4)
    assert counts.succeeded + counts.failed == 20
    assert counts.unfinished == 40


async def test_readers_do_not_wait_for_a_writer(crowd: Bench) -> None:
    other = sqlite3.connect(crowd.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE jobs SET title = 'changed'")
    (row,) = await crowd.store.read.rows([1])
    other.execute("ROLLBACK")
    other.close()
    assert row.title == "job 0"


async def test_more_readers_than_connections_take_turns(crowd: Bench) -> None:
    many = [crowd.store.read.order(EVERYTHING) for _ in range(reader.CONNECTIONS * 5)]
    assert {tuple(ids) for ids in await asyncio.gather(*many)} == {tuple(await crowd.store.read.order(EVERYTHING))}


async def test_a_reader_that_was_cancelled_gives_its_connection_back(crowd: Bench) -> None:
    for _ in range(reader.CONNECTIONS * 3):
        task = asyncio.ensure_future(crowd.store.read.order(EVERYTHING))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(await crowd.store.read.order(EVERYTHING)) == 60
    await crowd.submit(accepted())
    assert len(await crowd.store.read.order(EVERYTHING)) == 61, "and no connection is left in an old look"


async def test_a_reader_cannot_write(crowd: Bench) -> None:
    with pytest.raises(StorageError, match="read-only"):
        await crowd.store.read._all_rows("DELETE FROM jobs")


# Plans


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Enough rows, in every state, for the planner to have a choice; once with statistics and once without."""
    connection = connect(Path(tmp_path_factory.mktemp("plans")) / "headway.db")
    connection.execute("BEGIN")
    tx = transaction(connection)
    submit.submit(tx, [accepted(priority=n % 10, not_before=NOON + n if n % 5 == 0 else None) for n in range(2_000)])
    given = claims.claim(tx, first(tx, 600), lambda _: False, "boot")
    for claim in given[:590]:
        jobs.settle(tx, claim.attempt.id, failure() if claim.job.id % 4 else success())
    connection.execute("COMMIT")
    yield connection
    connection.close()


@pytest.fixture(params=["without statistics", "with statistics"])
def planned(request: pytest.FixtureRequest, large: sqlite3.Connection) -> sqlite3.Connection:
    if request.param == "with statistics":
        large.execute("ANALYZE")
    return large


def traced(connection: sqlite3.Connection, operation: Callable[[Transaction], object]) -> list[str]:
    """The reads of an operation, with their values in them, as SQLite saw them."""
    seen: list[str] = []
    connection.execute("BEGIN")
    connection.set_trace_callback(seen.append)
    operation(transaction(connection, NOON + 50))
    connection.set_trace_callback(None)
    connection.execute("ROLLBACK")
    return [statement for statement in seen if statement.startswith("SELECT")]


def assert_planned(connection: sqlite3.Connection, statement: str, index: str, *, may_sort: bool = False) -> None:
    steps = plan(connection, statement, []).splitlines()
    assert any(index in step for step in steps), (statement, steps)
    assert_no_scan(connection, statement)
    if not may_sort:
        assert not any("TEMP B-TREE" in step for step in steps), (statement, steps)


def assert_no_scan(connection: sqlite3.Connection, statement: str) -> None:
    steps = plan(connection, statement, []).splitlines()
    bare = [step for step in steps if step.startswith("SCAN") and " USING " not in step and "VIRTUAL" not in step]
    assert not {"jobs", "events", "attempts", "usage"} & {step.split()[1] for step in bare}, (statement, steps)


@pytest.mark.parametrize(
    ("operation", "index"),
    [
        (claims.heads, "jobs_startable"),
        (lambda tx: list(claims.line(tx, claims.heads(tx)[0], 3)), "jobs_startable"),
        (jobs.come_due, "jobs_waiting_for_time"),
        (jobs.pass_deadlines, "jobs_deadline"),
        (claims.running, "attempts_live"),
        (claims.live_attempts, "attempts_live"),
        (lambda tx: rows.holder_of(tx, "k"), "jobs_unique"),
    ],
    ids=["heads", "line", "come due", "deadlines", "running", "live attempts", "unique key"],
)
def test_the_dispatcher_goes_along_its_indexes(
    planned: sqlite3.Connection, operation: Callable[[Transaction], object], index: str
) -> None:
    head, *more = traced(planned, operation)
    few = operation in (claims.running, claims.live_attempts)  # a handful of live attempts is sorted
    assert_planned(planned, head, index, may_sort=few)
    for statement in more:
        assert_no_scan(planned, statement)


def test_no_statement_of_a_round_walks_through_a_table(planned: sqlite3.Connection) -> None:
    def round_of_the_dispatcher(tx: Transaction) -> None:
        jobs.come_due(tx)
        jobs.pass_deadlines(tx)
        world_of(tx, Configured.of(Settings()), Memory())
        for claim in claims.claim(tx, first(tx, 3), lambda _: False, "boot"):
            jobs.settle(tx, claim.attempt.id, success())

    reads = traced(planned, round_of_the_dispatcher)
    assert len(reads) > 8
    for statement in reads:
        assert_no_scan(planned, statement)


def test_lanes_that_nobody_uses_any_more_cost_a_round_nothing(tmp_path: Path) -> None:
    """A tag of its own for each job makes a lane of its own for each job."""
    connection = connect(tmp_path / "headway.db")
    tx = transaction(connection)

    def steps(lanes: int) -> int:
        connection.execute("DELETE FROM lanes")
        connection.executemany(
            "INSERT INTO lanes (agent, project, tags, priority, served_at) VALUES ('shell', ?, ?, 5, ?)",
            [(f"/p{n % 3}" if n % 4 else None, f" t{n} ", n + 1) for n in range(lanes)],
        )
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        connection.set_progress_handler(count, 1)
        served = claims.served(tx)
        queue.history(tx)
        connection.set_progress_handler(None, 0)
        assert served.keys() == {None, "/p0", "/p1", "/p2"}
        assert max(served.values()) == lanes
        return counted[0]

    assert steps(4_000) < 2 * steps(400)
    connection.close()


READS: dict[str, tuple[Callable[[Reader], Coroutine[object, object, object]], list[str]]] = {
    "order": (lambda read: read.order(EVERYTHING), ["jobs_running", "jobs_queued", "jobs_ended"]),
    "order of failed": (lambda read: read.order(parse("state:failed")), ["jobs_failed"]),
    "first page": (lambda read: read.order(EVERYTHING, 50), ["jobs_running", "jobs_queued"]),
    "rows": (lambda read: read.rows([5, 3]), ["INTEGER PRIMARY KEY"]),
    "attempts": (lambda read: read.attempts(5), ["sqlite_autoindex_attempts"]),
    "usage": (lambda read: read.usage(5), ["PRIMARY KEY"]),
    "events": (lambda read: read.events(100), ["INTEGER PRIMARY KEY"]),
    "events of a job": (lambda read: read.events(100, job=5), ["events_of_job"]),
    "newest seq": (lambda read: read.newest_seq(), ["SEARCH events"]),
    "dependencies": (lambda read: read.dependencies(5), ["PRIMARY KEY", "dependencies_needed"]),
    "batches": (lambda read: read.batches(20), ["jobs_batch"]),
    "spend": (lambda read: read.spend_since(NOON), ["ledger_by_time"]),
}


#: These sort what they found: a handful of groups, or one page of the log.
SORTS_ITS_OWN_FEW = {"spend", "batches", "events", "events of a job"}


@pytest.mark.parametrize("name", READS)
async def test_every_read_goes_along_its_index(planned: sqlite3.Connection, name: str) -> None:
    (_, _, file) = planned.execute("PRAGMA database_list").fetchone()
    read = Reader(Path(file))
    await read.open()
    seen: list[str] = []
    for connection in read._all:
        await connection.set_trace_callback(seen.append)
    operation, indexes = READS[name]
    await operation(read)
    await read.close()
    statements = [statement for statement in seen if statement.startswith("SELECT")]
    for statement, index in zip(statements, indexes, strict=True):
        assert_planned(planned, statement, index, may_sort=name in SORTS_ITS_OWN_FEW)


async def test_a_page_of_long_events_is_bounded_and_the_next_one_goes_on(bench: Bench) -> None:
    await bench.submit(*(accepted("x" * (1 << 20), title="long") for _ in range(12)))
    seen: list[int] = []
    pages = 0
    while page := await bench.store.read.events(seen[-1] if seen else 0):
        assert len(page) <= 5
        seen += [event.seq for event in page]
        pages += 1
    assert pages >= 3
    assert seen == list(range(1, 13))
    assert [event.seq for event in await bench.store.read.newest_events(50)] == seen[-4:]


async def test_the_last_hour_is_told_in_steps(crowd: Bench) -> None:
    found = await crowd.store.look(lambda tx: trend(tx, 20_000, 4))
    rows = await crowd.store.read.rows(list(range(1, 61)))
    ended = [row for row in rows if row.ended_at is not None and row.ended_at >= found.since]
    assert (len(found.depth), found.step, found.whole) == (4, 5_000, True)
    assert sum(found.done) == sum(row.state is State.SUCCEEDED for row in ended)
    assert sum(found.failed) == sum(row.state is State.FAILED for row in ended)
    assert found.depth[-1] == 40
    assert found.depth == sorted(found.depth, reverse=True), "jobs only ended in that time"
    assert found.depth[0] == 40 + sum(found.done[1:]) + sum(found.failed[1:])


async def test_a_look_that_nobody_waits_for_any_more_keeps_its_connection_to_its_end(crowd: Bench) -> None:
    """Closed while it is asked, it would take the whole process with it."""
    begun, go = threading.Event(), threading.Event()
    found: list[int] = []

    def question(tx: Transaction) -> None:
        begun.set()
        go.wait(PATIENCE)
        found.append(tx.connection.execute("SELECT count(*) FROM jobs").fetchone()[0])

    asking = asyncio.create_task(crowd.store.look(question))
    await asyncio.to_thread(begun.wait, PATIENCE)
    asking.cancel()
    await asyncio.sleep(0)
    closing = asyncio.create_task(crowd.store.read.close())
    other = asyncio.create_task(asyncio.sleep(0.05))
    assert await asyncio.wait({closing, other}, return_when=asyncio.FIRST_COMPLETED) == ({other}, {closing})
    go.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert found == [60]
