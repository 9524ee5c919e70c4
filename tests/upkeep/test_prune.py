"""Pruning: what goes, what stays, and that neither the log nor the ledger notices."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from engine import events as log
from engine.model import Failure, Grade, JobSpec, State, StepKind, Target, Usage, Verb
from engine.store import Store, actions, attachments, merges, moves, pipelines, verbs
from engine.store.moves import Moving
from engine.store.rows import read_job
from engine.store.store import FILE
from engine.store.submit import Accepted, Submission, admit
from engine.store.writer import Transaction
from engine.upkeep import leftovers
from engine.upkeep.prune import _ENDED, LOOK, Wanted, latest, prune
from engine.upkeep.space import reclaim
from engine.upkeep.wire import ENDED
from tests.upkeep.samples import DAY, NOW, Bench, usage


async def test_ended_jobs_go_with_all_that_is_known_of_them(bench: Bench) -> None:
    old = await bench.ended(usage())
    young = await bench.ended(usage(), days=10)
    done = await bench.prune()
    assert [gone.job for gone in done.gone] == [old]
    assert done.events == 4, "submitted, claimed, launched, succeeded"
    assert done.past is None
    assert bench.ids() == [young]
    for table, column in (("attempts", "job"), ("events", "job"), ("dependencies", "job")):
        assert bench.ask(f"SELECT 1 FROM {table} WHERE {column} = ?", old) == [], table
    assert bench.ask("SELECT count(*) FROM usage") == [(1,)]
    assert bench.ask("SELECT n FROM counts WHERE name = 'succeeded'") == [(1,)]


async def test_the_moves_of_a_job_go_with_it(bench: Bench) -> None:
    old, young = await bench.ended(usage()), await bench.ended(usage(), days=10)

    def move(tx: Transaction) -> None:
        for job in (old, young):
            row = read_job(tx.connection, job)
            assert row is not None
            moves.move(tx, row, Moving(Target("codex"), "ann"))

    await bench.store.write(move)
    await bench.prune()
    assert bench.ask("SELECT job, was, target FROM moves") == [(young, "claude:opus", "codex")]


async def test_the_log_still_tells_the_table_of_jobs(bench: Bench) -> None:
    for number in range(12):
        await bench.ended(usage(), days=25 + number, failure=Failure.CRASHED if number % 3 else None)
    waiting = await bench.submit()
    await bench.prune(limit=3)
    await bench.prune(limit=3)
    told, kept = bench.told_and_kept()
    assert told == kept
    assert len(kept) == 7
    assert waiting in kept


async def test_only_the_states_asked_for(bench: Bench) -> None:
    good = await bench.ended()
    bad = await bench.ended(failure=Failure.CRASHED)
    await bench.prune(states=frozenset({State.SUCCEEDED}))
    assert bench.ids() == [bad]
    assert good not in bench.ids()


async def test_what_has_not_ended_is_never_pruned(bench: Bench) -> None:
    bench.now -= 400 * DAY
    waiting, running = await bench.submit(), await bench.submit()
    await bench.start(running)
    bench.now = NOW
    await bench.prune(days=0)
    assert bench.ids() == [waiting, running]


async def test_a_job_that_an_unfinished_one_comes_after_stays(bench: Bench) -> None:
    needed, not_needed = await bench.ended(), await bench.ended()
    other = await bench.submit()
    blocked = await bench.submit(after=[needed, other])
    done = await bench.prune()
    assert done.needed == 1
    assert bench.ids() == [needed, other, blocked]
    assert not_needed not in bench.ids()
    await bench.settle(await bench.start(other))
    await bench.settle(await bench.start(blocked))
    assert (await bench.prune()).needed == 0
    assert bench.ids() == [other, blocked]


async def submitted_together(bench: Bench, then: str | None = None) -> tuple[list[int], int | None]:
    """Two jobs of a batch, and the job that is to follow them."""
    two = [Accepted(JobSpec(prompt=name), name, "claude", "opus", None, None) for name in ("a", "b")]
    after = Accepted(JobSpec(prompt=then), then, "claude", "opus", None, None) if then else None
    admitted = await bench.store.write(lambda tx: admit(tx, Submission(two, batch="nightly", follow_up=after)))
    return admitted.ids, admitted.follow_up


async def test_a_batch_that_is_not_done_stays_whole(bench: Bench) -> None:
    """Else its progress would be of the rest alone."""
    bench.now -= 40 * DAY
    (first, second), _ = await submitted_together(bench)
    await bench.settle(await bench.start(first))
    bench.now = NOW
    assert (await bench.prune()).needed == 1
    (batch,) = await bench.store.read.batches(1)
    assert (batch.ended, batch.total) == (1, 2)
    bench.now -= 40 * DAY
    await bench.settle(await bench.start(second), failure=Failure.CRASHED)
    bench.now = NOW
    done = await bench.prune()
    assert (len(done.gone), done.needed) == (2, 0)


async def test_a_batch_whose_follow_up_is_not_done_stays_whole(bench: Bench) -> None:
    bench.now -= 40 * DAY
    jobs, following = await submitted_together(bench, then="sum up")
    assert following is not None
    for job in jobs:
        await bench.settle(await bench.start(job))
    await bench.start(following)
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        connection.execute("DELETE FROM dependencies")  # it needs none of them by name any more
        connection.commit()
    bench.now = NOW
    assert (await bench.prune()).needed == 2


async def test_a_job_that_came_after_a_pruned_one_keeps_how_that_ended_and_can_be_retried(bench: Bench) -> None:
    first = await bench.ended()
    second = await bench.ended(after=[first], days=5, failure=Failure.CRASHED)
    await bench.prune()
    assert bench.ids() == [second]
    assert await bench.store.read.dependencies(second) == ({first: "succeeded"}, [])
    await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.RETRY, [second], "tester")))
    assert await bench.state(second) is State.READY
    told, kept = bench.told_and_kept()
    assert told == kept


async def test_an_action_on_a_pruned_job_says_so_when_it_is_undone(bench: Bench) -> None:
    bench.now -= 40 * DAY
    job = await bench.submit()
    await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.CANCEL, [job], "tester")))
    bench.now = NOW
    await bench.prune()
    taken = await bench.store.write(lambda tx: actions.undo(tx, "tester", None, dry_run=False))
    assert taken.undone.lost == {"it was pruned": [job]}


async def test_an_undone_cancel_does_not_wait_for_a_pruned_job(bench: Bench) -> None:
    first, other = await bench.ended(), await bench.submit()
    blocked = await bench.submit(after=[first, other])
    await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.CANCEL, [blocked], "tester")))
    await bench.prune()
    assert first not in bench.ids()
    await bench.store.write(lambda tx: actions.undo(tx, "tester", None, dry_run=False))
    assert await bench.state(blocked) is State.BLOCKED
    await bench.settle(await bench.start(other))
    assert await bench.state(blocked) is State.READY


async def test_ids_and_sequence_numbers_are_never_used_again(bench: Bench) -> None:
    job = await bench.ended()
    newest = await bench.store.read.newest_seq()
    await bench.prune()
    assert await bench.submit() == job + 1
    assert await bench.store.read.newest_seq() > newest


async def test_the_log_says_that_something_was_pruned(bench: Bench) -> None:
    await bench.ended()
    await bench.ended()
    await bench.prune()
    bodies = [event.body for event in bench.published if isinstance(event.body, log.Pruned)]
    assert bodies == [log.Pruned(by="tester", jobs=2, before=NOW - 30 * DAY)]
    await bench.prune()
    assert len([e for e in bench.published if isinstance(e.body, log.Pruned)]) == 1, "nothing pruned, nothing said"


async def test_the_ledger_stays_whole(bench: Bench) -> None:
    for cost in (100, 200, 300):
        await bench.ended(usage(cost), days=40, project="/src/a")
    await bench.ended(usage(1_000, grade=Grade.COMPUTED), days=41)
    await bench.ended(usage(50), days=1.5)
    before = await bench.store.read.spend_since(0)
    of_yesterday = await bench.store.read.spend_since(NOW - 2 * DAY)
    await bench.prune()
    assert bench.ask("SELECT count(*) FROM usage") == [(1,)]
    assert await bench.store.read.spend_since(0) == before == (1_650, Grade.COMPUTED)
    assert await bench.store.read.spend_since(NOW - 2 * DAY) == of_yesterday == (50, Grade.REPORTED)
    kept = bench.ask("SELECT day, agent, project, model, grade, attempts, input_tokens, cost_micros FROM pruned_usage")
    day = NOW - NOW % DAY
    assert sorted(kept) == [
        (day - 41 * DAY, "claude", "", "opus", "computed", 1, 10, 1_000),
        (day - 40 * DAY, "claude", "/src/a", "opus", "reported", 3, 30, 600),
    ]


@settings(max_examples=12, deadline=None)
@given(
    jobs=st.lists(
        st.tuples(
            st.floats(0, 70),
            st.lists(
                st.builds(
                    usage,
                    st.none() | st.integers(0, 10**9),
                    st.sampled_from(["opus", "haiku"]),
                    st.sampled_from(Grade),
                ),
                max_size=3,
                unique_by=lambda one: one.model,
            ),
            st.booleans(),
            st.sampled_from([None, "/src/a", "/src/b"]),
        ),
        max_size=8,
    ),
    prunes=st.lists(st.tuples(st.floats(0, 70), st.sets(st.sampled_from(sorted(ENDED)), min_size=1)), max_size=3),
)
def test_whatever_is_pruned_the_spend_stays_the_same(
    jobs: list[tuple[float, list[Usage], bool, str | None]], prunes: list[tuple[float, set[State]]]
) -> None:
    async def spends(bench: Bench) -> list[object]:
        days = [NOW - NOW % DAY - ago * DAY for ago in range(72)]
        return [await bench.store.read.spend_since(since) for since in (0, *days)]

    async def check(home: Path) -> None:
        clock: list[Bench] = []
        bench = Bench(await Store.open(home, clock=lambda: clock[0].now), home)
        clock.append(bench)
        try:
            for days, used, failed, project in jobs:
                failure = Failure.CRASHED if failed else None
                await bench.ended(*used, days=days, failure=failure, project=project)
            before = await spends(bench)
            for days, states in prunes:
                await bench.prune(days=days, states=frozenset(states))
                assert await spends(bench) == before
                told, kept = bench.told_and_kept()
                assert told == kept
        finally:
            await bench.store.close()

    with tempfile.TemporaryDirectory() as home:
        asyncio.run(check(Path(home)))


async def test_sums_of_one_day_grow_with_every_prune(bench: Bench) -> None:
    for cost in (100, None, 300, None, 500):
        await bench.ended(usage(cost))
        await bench.prune()
    assert bench.ask("SELECT grade, attempts, cost_micros FROM pruned_usage ORDER BY grade") == [
        ("reported", 3, 900),
        ("unknown", 2, None),
    ]
    assert await bench.store.read.spend_since(0) == (900, Grade.UNKNOWN)


async def test_nothing_of_today_is_pruned(bench: Bench) -> None:
    midnight = datetime.fromtimestamp(NOW / 1000).replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000
    assert latest(NOW, NOW) <= min(midnight, NOW - NOW % DAY)
    assert latest(NOW, NOW) % DAY == 0
    assert latest(5, NOW) == 5
    today = await bench.ended(usage(7), days=0.001)
    await bench.ended(usage(9), days=3)
    await bench.prune(days=0)
    assert bench.ids() == [today]
    assert await bench.store.read.spend_since(int(midnight)) == (7, Grade.REPORTED)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"])
async def test_the_spend_of_today_is_exact_in_every_zone(
    bench: Bench, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        midnight = datetime.fromtimestamp(NOW / 1000).replace(hour=0, minute=0, second=0, microsecond=0)
        for hours in range(60):
            await bench.ended(usage(1 << hours), days=hours / 24)
        since = int(midnight.timestamp() * 1000)
        before = await bench.store.read.spend_since(since)
        await bench.prune(days=0)
        assert len(bench.ids()) < 60
        assert await bench.store.read.spend_since(since) == before
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_batch_ends_at_its_limit_and_the_next_goes_on_behind_it(bench: Bench) -> None:
    old = [await bench.ended(days=60 - number) for number in range(7)]
    past: tuple[int, int] | None = (0, 0)
    sizes = []
    while past is not None:
        done = await bench.prune(limit=3, past=past)
        sizes.append(len(done.gone))
        past = done.past
    assert sizes == [3, 3, 1]
    assert not set(old) & set(bench.ids())


async def test_what_the_gone_jobs_left_is_told(bench: Bench) -> None:
    job = await bench.ended(title="Fix it", workspace=bench.home / "worktrees" / "1-fix-it", failure=Failure.CRASHED)
    (gone,) = (await bench.prune()).gone
    assert (gone.job, gone.title, gone.state, gone.attempts) == (job, "Fix it", State.FAILED, (1,))
    assert gone.workspaces == (str(bench.home / "worktrees" / "1-fix-it"),)
    assert gone.branch == f"headway/{job}-x"


async def test_a_job_in_whose_session_the_operator_works_stays(bench: Bench) -> None:
    job = await bench.ended(session="s-1", failure=Failure.CRASHED)
    wanted = attachments.Attachment(job, "claude", None, "m", "operator", NOW, 1, 1, "boot")
    await bench.store.write(lambda tx: attachments.begin(tx, wanted))
    assert (await bench.prune()).gone == ()
    await bench.store.write(lambda tx: attachments.end(tx, job, "m"))
    assert [gone.job for gone in (await bench.prune()).gone] == [job]


async def test_what_a_merge_or_a_pipeline_still_needs_stays_and_goes_with_it(bench: Bench) -> None:
    merged = await bench.ended()
    piped = await bench.ended(batch="pipeline")
    (batch,) = bench.ask("SELECT batch FROM jobs WHERE id = ?", piped)[0]

    def begin(tx: Transaction) -> None:
        merge = merges.New(merged, "t", "/p", "/p/.git", "main", (), 1)
        merges.add(tx, merge, "me")
        plan = pipelines.Plan(
            what="w", steps=[pipelines.Declared(name="s", kind=StepKind.JOB)], spec=msgspec.Raw(b"{}")
        )
        pipelines.begin(tx, pipelines.Begin("docs", "t", None, plan, "me"))
        tx.connection.execute("UPDATE pipelines SET batch = ?", (batch,))

    await bench.store.write(begin)
    assert (await bench.prune()).gone == ()
    end = "UPDATE {} SET ended_at = ?"
    for table in ("merges", "pipelines"):
        await bench.store.write(lambda tx, table=table: tx.connection.execute(end.format(table), (1,)).rowcount)
    assert sorted(gone.job for gone in (await bench.prune()).gone) == [merged, piped]
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        found = leftovers.find(connection, NOW - 30 * DAY)
    assert (found.merges, found.pipelines) == (((1,),), ((1,),))
    await bench.store.write(partial(leftovers.remove, found=found))
    for table in ("merges", "pipelines", "pipeline_steps"):
        assert bench.ask(f"SELECT count(*) FROM {table}") == [(0,)]


async def test_tokens_batches_and_sessions_go_once_nothing_refers_to_them(bench: Bench) -> None:
    await bench.ended(token="old", batch="old", session="s-old")
    kept = await bench.ended(token="kept", batch="kept", session="s-kept", days=40, failure=Failure.CRASHED)
    await bench.ended(token="young", batch="young", session="s-young", days=2)
    await bench.prune(states=frozenset({State.SUCCEEDED}))

    def compact(tx: Transaction) -> None:
        for name in ("s-old", "s-kept"):
            tx.connection.execute("INSERT INTO compactions VALUES ('claude', ?, 1, 1, 0, 'auto', 9, 1)", (name,))

    await bench.store.write(compact)
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        found = leftovers.find(connection, NOW - 30 * DAY)
    assert found.tokens == (("old",),)
    assert found.batches == ((1,),)
    assert found.sessions == (("claude", "s-old"),)
    await bench.store.write(partial(leftovers.remove, found=found))
    assert bench.ask("SELECT token FROM submissions ORDER BY token") == [("kept",), ("young",)]
    assert bench.ask("SELECT name FROM batches ORDER BY id") == [("kept",), ("young",)]
    assert bench.ask("SELECT id FROM sessions ORDER BY id") == [("s-kept",), ("s-young",)]
    assert bench.ask("SELECT session FROM compactions") == [("s-kept",)]
    assert kept in bench.ids()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        assert not leftovers.find(connection, NOW - 30 * DAY)


async def test_free_pages_go_back_to_the_file_system_in_steps(bench: Bench) -> None:
    for _ in range(40):
        await bench.ended(title="x" * 50_000)
    await bench.prune()
    pages = bench.ask("PRAGMA page_count")[0][0]
    free = bench.ask("PRAGMA freelist_count")[0][0]
    assert isinstance(pages, int)
    assert isinstance(free, int)
    assert free > 500, "enough for more than one step"
    freed = []
    while step := await bench.store.write(reclaim):
        freed.append(step)
    assert len(freed) > 1
    assert bench.ask("PRAGMA freelist_count") == [(0,)]
    assert bench.ask("PRAGMA page_count")[0][0] == pages - sum(freed) // 4096
    assert bench.ask("PRAGMA quick_check") == [("ok",)]


async def test_the_search_goes_along_an_index(bench: Bench) -> None:
    plan = bench.ask(f"EXPLAIN QUERY PLAN {_ENDED}", 0, NOW, 0, 0, LOOK)
    steps = " ".join(str(row[3]) for row in plan)
    assert "USING INDEX jobs_ended (ended_at>? AND ended_at<?)" in steps
    assert "TEMP B-TREE" not in steps


async def test_a_prune_that_fails_leaves_everything(bench: Bench) -> None:
    job = await bench.ended(usage())
    before = bench.told_and_kept()

    def fail(tx: Transaction) -> None:
        prune(tx, Wanted(NOW, ENDED), "tester")
        raise RuntimeError("the engine dies here")

    with pytest.raises(RuntimeError):
        await bench.store.write(fail)
    assert bench.ids() == [job]
    assert bench.told_and_kept() == before
    assert bench.ask("SELECT count(*) FROM pruned_usage") == [(0,)]
