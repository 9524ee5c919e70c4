"""Jobs that wait for others: when they start, when they are skipped, and what a retry brings back."""

from __future__ import annotations

import sqlite3

import pytest

from engine import events as log
from engine.errors import EntryError, RefusedError
from engine.model import Failure, JobSpec, OnFailure, State, Verb
from engine.store import claims, dependencies, jobs, submit
from engine.store.submit import Accepted, Needs, Submission
from engine.store.writer import Transaction
from tests.store.samples import NOON, Bench, accepted, failure, first, success


def wants(
    *after: int, any_of: tuple[int, ...] = (), entries: tuple[int, ...] = (), on: OnFailure | None = None, key: str = ""
) -> Accepted:
    spec = JobSpec(prompt="x", agent="shell", on_failure=on, key=key or None)
    return Accepted(spec, "x", "shell", None, None, None, all_of=Needs(after, entries), any_of=Needs(any_of))


async def end(bench: Bench, job: int, *, well: bool = True) -> None:
    """Let a ready job run, and end."""

    def run(tx: Transaction) -> None:
        row = next(row for row in first(tx, 10_000) if row.id == job)
        (claim,) = claims.claim(tx, [row], lambda _: False, "boot")
        dependencies.after_end(tx, [jobs.settle(tx, claim.attempt.id, success() if well else failure())])

    await bench.store.write(run)


async def states(bench: Bench, *ids: int) -> list[State]:
    return [row.state for row in await bench.store.read.rows(ids)]


async def test_a_job_starts_once_all_that_it_comes_after_have_succeeded(bench: Bench) -> None:
    assert await bench.submit(accepted(), accepted(), wants(entries=(0, 1))) == [1, 2, 3]
    assert await states(bench, 3) == [State.BLOCKED]
    await end(bench, 1)
    assert await states(bench, 3) == [State.BLOCKED]
    await end(bench, 2)
    assert await states(bench, 3) == [State.READY]
    assert await bench.store.read.dependencies(3) == ({1: "succeeded", 2: "succeeded"}, [])
    assert await bench.store.read.dependencies(1) == ({}, [3])


async def test_one_of_several_is_enough(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(wants(any_of=(1, 2)))
    await end(bench, 1, well=False)
    assert await states(bench, 3) == [State.BLOCKED]
    await end(bench, 2)
    assert await states(bench, 3) == [State.READY]


async def test_none_of_several_is_a_failure(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(wants(any_of=(1, 2)))
    await end(bench, 1, well=False)
    await end(bench, 2, well=False)
    assert await states(bench, 3) == [State.CANCELLED]


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (None, State.CANCELLED),
        (OnFailure.SKIP, State.CANCELLED),
        (OnFailure.FAIL, State.FAILED),
        (OnFailure.RUN, State.READY),
    ],
)
async def test_what_follows_a_failure_is_said_by_the_job(bench: Bench, policy: OnFailure | None, state: State) -> None:
    await bench.submit(accepted())
    await bench.submit(wants(1, on=policy))
    await end(bench, 1, well=False)
    row = await bench.row(2)
    assert row.state is state
    if state is State.FAILED:
        assert row.failure is Failure.DEPENDENCY_FAILED
    if state is not State.READY:
        assert "J1, which it comes after, failed" in (row.reason or "")
        assert row.cause == 1


async def test_what_has_ended_already_counts_at_once(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await end(bench, 1)
    await end(bench, 2, well=False)
    await bench.submit(wants(1), wants(2), wants(2, on=OnFailure.RUN))
    assert await states(bench, 3, 4, 5) == [State.READY, State.CANCELLED, State.READY]


async def test_a_chain_of_ten_thousand_is_skipped_and_comes_back_with_the_first(bench: Bench) -> None:
    length = 10_000
    ids = await bench.submit(accepted(), *(wants(entries=(n,)) for n in range(length)))
    result = await bench.act(Verb.CANCEL, [1])
    assert len(result.also["skipped, as they come after it"]) == length
    assert (await bench.store.read.counts()).cancelled == length + 1
    back = await bench.act(Verb.RETRY, [1])
    assert back.also == {"put back, as they were skipped because of it": ids[1:]}
    counts = await bench.store.read.counts()
    assert (counts.ready, counts.blocked) == (1, length)


async def test_the_end_of_one_of_thousands_costs_what_the_end_of_one_of_few_does(bench: Bench) -> None:
    """Counted in statements: what follows a batch does not look at all of the batch each time that a job of it ends."""
    few = await bench.submit(*(accepted() for _ in range(5)))
    await bench.submit(wants(*few))
    many = await bench.submit(*(accepted() for _ in range(3_000)))
    await bench.submit(wants(*many))

    def steps(tx: Transaction, job: int) -> int:
        row = next(row for row in first(tx, 10_000) if row.id == job)
        (claim,) = claims.claim(tx, [row], lambda _: False, "boot")
        ended = jobs.settle(tx, claim.attempt.id, success())
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        tx.connection.set_progress_handler(count, 1)  # one call for each instruction of SQLite's machine
        dependencies.after_end(tx, [ended])
        tx.connection.set_progress_handler(None, 0)
        return counted[0]

    small = await bench.store.write(lambda tx: steps(tx, few[1]))
    large = await bench.store.write(lambda tx: steps(tx, many[1_500]))
    assert large < 2 * small


async def test_a_retry_waits_again_for_what_has_not_ended(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(wants(1, 2))
    await bench.act(Verb.CANCEL, [1])
    assert await states(bench, 3) == [State.CANCELLED]
    await bench.act(Verb.RETRY, [3])
    assert await states(bench, 3) == [State.BLOCKED], "2 has not ended"
    await end(bench, 2)
    assert await states(bench, 3) == [State.READY], "and 1 was overruled by putting it back"
    assert (await bench.store.read.dependencies(3))[0] == {1: "overruled", 2: "succeeded"}


async def test_a_bulk_retry_brings_back_what_was_skipped_in_its_order(bench: Bench) -> None:
    await bench.submit(accepted(priority=9))
    await bench.submit(wants(1), wants(2))
    await bench.act(Verb.CANCEL, [1])
    result = await bench.act(Verb.RETRY, [3, 2, 1])
    assert result.done == [1]
    assert await states(bench, 1, 2, 3) == [State.READY, State.BLOCKED, State.BLOCKED]


async def test_a_retry_of_one_of_several_that_failed_brings_back_what_came_after_any_of_them(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(wants(any_of=(1, 2)))
    await bench.act(Verb.CANCEL, [1, 2])
    await bench.act(Verb.RETRY, [1])
    assert await states(bench, 3) == [State.BLOCKED]
    await end(bench, 1)
    assert await states(bench, 3) == [State.READY]


async def test_what_another_failure_still_keeps_stays_skipped_and_nothing_waits_for_it(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(wants(1, 2))
    await bench.submit(wants(3))
    await bench.act(Verb.CANCEL, [1, 2])
    await bench.act(Verb.RETRY, [1])
    assert await states(bench, 3, 4) == [State.CANCELLED, State.CANCELLED], "2 is cancelled still"
    await bench.act(Verb.RETRY, [2])
    assert await states(bench, 3, 4) == [State.BLOCKED, State.BLOCKED]
    assert (await bench.store.read.dependencies(3))[0] == {1: "", 2: ""}, "neither has ended"
    await end(bench, 2)
    assert await states(bench, 3) == [State.BLOCKED]


async def test_what_cannot_have_any_of_several_does_not_wait_for_the_rest(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(wants(1, any_of=(2,)))
    await bench.act(Verb.CANCEL, [2])
    assert await states(bench, 3) == [State.CANCELLED]


async def test_what_comes_back_with_another_needs_its_key_and_time_left(bench: Bench) -> None:
    await bench.submit(accepted())
    spec = wants(1).spec
    late = Accepted(spec, "x", "shell", None, None, None, deadline=NOON + 5, all_of=Needs((1,)))
    await bench.submit(wants(1, key="k"), late)
    await bench.act(Verb.CANCEL, [1])
    assert await bench.submit(wants(key="k")) == [4]
    bench.clock.now += 5
    result = await bench.act(Verb.RETRY, [1])
    assert (result.done, result.also) == ([1], {})
    assert await states(bench, 1, 2, 3) == [State.READY, State.CANCELLED, State.CANCELLED]


async def test_a_retry_after_its_deadline_is_refused_in_words(bench: Bench) -> None:
    await bench.submit(Accepted(wants().spec, "x", "shell", None, None, None, deadline=NOON + 5))
    bench.clock.now += 5
    await bench.store.write(jobs.pass_deadlines)
    assert (await bench.act(Verb.RETRY, [1])).skipped == {"its deadline has passed: submit it again": [1]}


async def test_a_deadline_ends_a_blocked_job_and_what_comes_after_it(bench: Bench) -> None:
    await bench.submit(accepted())
    late = wants(1)
    await bench.submit(Accepted(late.spec, "x", "shell", None, None, None, deadline=NOON + 5, all_of=Needs((1,))))
    await bench.submit(wants(2))
    assert await bench.store.write(jobs.pass_deadlines) == NOON + 5
    bench.clock.now += 5
    assert await bench.store.write(jobs.pass_deadlines) is None
    row = await bench.row(2)
    assert (row.state, row.failure) == (State.FAILED, Failure.TIMEOUT)
    assert await states(bench, 3) == [State.CANCELLED]


# Submissions


async def test_the_same_key_gives_the_unfinished_job(bench: Bench) -> None:
    one = wants(key="nightly")
    assert await bench.submit(one, one) == [1, 1], "within one submission as well"
    assert await bench.submit(accepted(), one) == [2, 1]
    await end(bench, 1)
    assert await bench.submit(one) == [3]
    result = await bench.act(Verb.RETRY, [1])
    assert result.skipped == {"J3 has its key and is unfinished": [1]}


async def test_a_token_is_accepted_once(bench: Bench) -> None:
    async def send(token: str, digest: str) -> submit.Admitted:
        asked = Submission([accepted(), accepted()], token=token, digest=digest)
        return await bench.store.write(lambda tx: submit.admit(tx, asked))

    first_answer = await send("t", "d")
    again = await send("t", "d")
    assert (first_answer.ids, first_answer.existing) == ([1, 2], [])
    assert (again.ids, again.existing) == ([1, 2], [1, 2])
    assert (await send("u", "d")).ids == [3, 4]
    with pytest.raises(RefusedError, match="'t' stands for other jobs already"):
        await send("t", "other")
    assert (await bench.store.read.counts()).ready == 4


async def test_a_batch_is_followed_once_all_have_ended(bench: Bench) -> None:
    then = wants(on=OnFailure.RUN)
    asked = Submission([accepted(), accepted()], batch="nightly", follow_up=then)
    answer = await bench.store.write(lambda tx: submit.admit(tx, asked))
    assert (answer.ids, answer.batch, answer.follow_up) == ([1, 2], 1, 3)
    await end(bench, 1, well=False)
    (batch,) = await bench.store.read.batches(5)
    assert (batch.name, batch.ended, batch.total, batch.follow_up) == ("nightly", 1, 2, 3)
    await end(bench, 2)
    assert await states(bench, 3) == [State.READY]


async def test_what_follows_a_batch_is_never_another_job_with_its_key(bench: Bench) -> None:
    asked = Submission([accepted()], batch="nightly", follow_up=wants(on=OnFailure.RUN, key="sum"))
    assert (await bench.store.write(lambda tx: submit.admit(tx, asked))).follow_up == 2
    with pytest.raises(RefusedError, match="J2 has the key 'sum' and is unfinished, and does not follow this batch"):
        await bench.store.write(lambda tx: submit.admit(tx, asked))
    assert (await bench.store.read.counts()).ready == 1, "none of it was accepted"


async def test_a_job_after_one_that_does_not_exist_refuses_all(bench: Bench) -> None:
    with pytest.raises(EntryError, match="after: there is no job 99") as refused:
        await bench.submit(accepted(), wants(99), wants(0, 98))
    assert refused.value.entry == 1
    assert [(one.message, one.entry) for one in refused.value.others] == [
        ("after: there is no job 0", 2),
        ("after: there is no job 98", 2),
    ]
    assert (await bench.store.read.counts()).ready == 0
    assert not [event for event in bench.published if isinstance(event.body, log.Submitted)]


async def test_the_table_of_dependencies_is_not_needed_to_tell_the_jobs(bench: Bench) -> None:
    from engine.store.fold import rebuild
    from tests.store.samples import table

    await bench.submit(accepted(), wants(entries=(0,)), wants(entries=(1,), on=OnFailure.FAIL))
    await end(bench, 1, well=False)
    connection = sqlite3.connect(bench.path)
    assert rebuild(connection) == table(connection)
    connection.close()
