"""What can be done to jobs and attempts: all or nothing, counted once, and by the newest attempt alone."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from engine.agents.base import Outcome
from engine.errors import NotFoundError, RefusedError
from engine.events import total_cost
from engine.model import DiffStat, Failure, Grade, State, Usage, Verb
from engine.store import Transaction, claims, jobs, verbs
from engine.store.claims import Claim
from engine.store.jobs import Launched, Settlement
from engine.store.sessions import Heard
from engine.store.submit import Accepted
from tests.store.samples import NOON, Bench, accepted, failure, first, success

STARTED = Launched(pid=7, session="s-1", workspace="/w", branch="headway/1-x", base="abc")


def priced(model: str = "opus", cost: int | None = 100, grade: Grade = Grade.REPORTED) -> Usage:
    return Usage(model=model, input_tokens=10, output_tokens=5, cache_read_tokens=3, cost_micros=cost, grade=grade)


async def running(bench: Bench, wanted: Accepted | None = None) -> Claim:
    await bench.submit(wanted or accepted())
    (claim,) = await bench.claim()
    return claim


# What is submitted


async def test_five_thousand_jobs_are_one_transaction(bench: Bench) -> None:
    ids = await bench.submit(*(accepted(f"job {n}") for n in range(5_000)))
    assert ids == list(range(1, 5_001))
    assert (await bench.store.read.counts()).ready == 5_000
    assert len(bench.published) == 5_000


async def test_one_bad_job_of_five_thousand_refuses_all(bench: Bench) -> None:
    wanted = [accepted(f"job {n}") for n in range(5_000)]
    wanted[4_321] = accepted("bad", not_before=1 << 70)
    with pytest.raises(OverflowError):
        await bench.submit(*wanted)
    assert (await bench.store.read.counts()).ready == 0
    assert await bench.store.read.newest_seq() == 0
    assert bench.published == []


async def test_ids_are_never_used_again(bench: Bench) -> None:
    await bench.submit(accepted(), accepted(), accepted())

    def forget(tx: Transaction) -> None:
        tx.connection.execute("DELETE FROM jobs")

    await bench.store.write(forget)
    assert await bench.submit(accepted()) == [4]


async def test_a_refused_submit_between_two_leaves_no_gap_and_no_double(bench: Bench) -> None:
    first, bad, second = await asyncio.gather(
        bench.submit(accepted(), accepted()),
        bench.submit(accepted(), accepted(not_before=1 << 70)),
        bench.submit(accepted()),
        return_exceptions=True,
    )
    assert (first, second) == ([1, 2], [3])
    assert isinstance(bad, OverflowError)


async def test_the_prompt_is_read_back_from_the_log(bench: Bench) -> None:
    prompt = "line one\nline two\u2028three \U0001f9ed \x1b[31m"
    await bench.submit(accepted(prompt, title="t"))
    assert (await bench.store.read.spec(await bench.row(1))).prompt == prompt
    (claim,) = await bench.claim()
    assert claim.spec.prompt == prompt


# Who gets it


async def test_claims_go_by_priority_and_then_by_age(bench: Bench) -> None:
    await bench.submit(*(accepted(str(p), priority=p) for p in (5, 1, 9, 1, 0)))
    assert [claim.job.id for claim in await bench.claim(10)] == [5, 2, 4, 1, 3]


async def test_each_agent_and_priority_has_a_lane_of_its_own(bench: Bench) -> None:
    await bench.submit(
        accepted(agent="a", priority=5), accepted(agent="b", priority=3), accepted(agent="a", priority=4)
    )
    heads = await bench.store.write(claims.heads)
    assert sorted((head.lane.agent, head.lane.priority, head.job.id) for head in heads) == [
        ("a", 4, 3), ("a", 5, 1), ("b", 3, 2),
    ]  # fmt: skip


async def test_held_waiting_and_foreign_jobs_are_not_claimed(bench: Bench) -> None:
    await bench.submit(accepted(), accepted(not_before=NOON + 1), accepted(agent="other"), accepted())
    await bench.act(Verb.HOLD, [1])
    assert [claim.job.id for claim in await bench.claim(10)] == [4]


async def test_an_attempt_is_counted_when_it_is_claimed(bench: Bench) -> None:
    claim = await running(bench)
    assert (claim.job.attempts, claim.job.attempt, claim.attempt.number) == (1, claim.attempt.id, 1)
    assert (await bench.row(1)) == claim.job
    ((lane, count),) = await bench.store.write(claims.running)
    assert (lane.agent, count) == ("shell", 1)


async def test_every_attempt_has_a_marker_and_an_id_of_its_own(bench: Bench) -> None:
    await bench.submit(*(accepted() for _ in range(20)))
    given = await bench.claim(20)
    assert len({claim.attempt.marker for claim in given}) == 20
    assert sorted(claim.attempt.id for claim in given) == list(range(1, 21))


# A conversation goes on


@pytest.mark.parametrize(
    ("session", "resumable", "fresh", "resumes"),
    [("s-1", True, False, "s-1"), ("s-1", True, True, None), ("s-1", False, False, None), (None, True, False, None)],
)
async def test_a_retry_resumes_where_it_can_and_may(
    bench: Bench, session: str | None, resumable: bool, fresh: bool, resumes: str | None
) -> None:
    claim = await running(bench)
    begun = dataclasses.replace(STARTED, session=session)
    await bench.store.write(lambda tx: jobs.launched(tx, claim.attempt.id, begun))
    await bench.settle(claim.attempt.id, failure())
    await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.RETRY, [1], "tester", fresh=fresh)))
    (again,) = await bench.store.write(lambda tx: claims.claim(tx, first(tx, 1), lambda _: resumable, "boot"))
    assert again.attempt.resumes == resumes
    assert again.attempt.number == 2
    assert again.previous is not None
    assert again.previous.base == "abc"


@pytest.mark.parametrize(("running_in", "resumes"), [("s-1", None), ("s-2", "s-1")])
async def test_a_session_that_an_attempt_is_in_is_not_resumed(
    bench: Bench, running_in: str, resumes: str | None
) -> None:
    """Two writers fork it, or spin for ever: one at a time."""
    claim, other = await running(bench), await running(bench, accepted())
    for one, session in ((claim, "s-1"), (other, running_in)):
        begun = dataclasses.replace(STARTED, session=session)
        await bench.store.write(lambda tx, one=one, begun=begun: jobs.launched(tx, one.attempt.id, begun))
    await bench.settle(claim.attempt.id, failure())
    await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.RETRY, [1], "tester")))
    (again,) = await bench.store.write(lambda tx: claims.claim(tx, first(tx, 1), lambda _: True, "boot"))
    assert again.attempt.resumes == resumes


async def test_one_that_could_not_go_on_with_its_session_is_not_noted_as_resumed(bench: Bench) -> None:
    claim = await running(bench)
    await bench.store.write(lambda tx: jobs.launched(tx, claim.attempt.id, STARTED))
    await bench.settle(claim.attempt.id, failure(back=0))
    (again,) = await bench.store.write(lambda tx: claims.claim(tx, first(tx, 1), lambda _: True, "boot"))
    assert again.attempt.resumes == "s-1"
    begun = dataclasses.replace(STARTED, session="s-2")
    await bench.store.write(lambda tx: jobs.launched(tx, again.attempt.id, begun))
    kept = (await bench.store.read.attempts(1))[1]
    assert (kept.session, kept.resumes) == ("s-2", None)


# How it ends


async def test_success_is_written_to_the_job_and_to_the_attempt(bench: Bench) -> None:
    claim = await running(bench)
    bench.clock.now += 1_000
    await bench.store.write(lambda tx: jobs.launched(tx, claim.attempt.id, STARTED))
    bench.clock.now += 1_000
    end = Settlement(
        Outcome(succeeded=True, result="all done", usage=(priced(),), session="s-2", unknown_lines=4),
        0,
        DiffStat(files=1, added=2, removed=3),
        Heard(version="2.0"),
    )
    row = await bench.settle(claim.attempt.id, end)
    assert (row.state, row.ended_at, row.cost_micros) == (State.SUCCEEDED, NOON + 2_000, 100)
    assert (row.input_tokens, row.output_tokens) == (13, 5)
    (tried,) = await bench.store.read.attempts(1)
    attempt = tried.as_attempt(await bench.store.read.usage(tried.id), "run")
    assert (attempt.started_at, attempt.ended_at) == (NOON + 1_000, NOON + 2_000)
    assert (attempt.session, attempt.pid, attempt.branch, attempt.exit_code) == ("s-2", 7, "headway/1-x", 0)
    assert attempt.diff == DiffStat(files=1, added=2, removed=3)
    assert (attempt.succeeded, attempt.result, attempt.unknown_lines) == (True, "all done", 4)
    assert attempt.usage == [priced()]


async def test_a_late_end_of_a_settled_attempt_is_refused(bench: Bench) -> None:
    claim = await running(bench)
    await bench.settle(claim.attempt.id, failure())
    before = await bench.row(1), await bench.store.read.newest_seq()
    with pytest.raises(RefusedError, match="settled already"):
        await bench.settle(claim.attempt.id, success())
    assert (await bench.row(1), await bench.store.read.newest_seq()) == before


async def test_an_older_attempt_cannot_settle_report_or_adopt_for_the_newer(bench: Bench) -> None:
    old = await running(bench)
    await bench.settle(old.attempt.id, failure(back=0))
    (new,) = await bench.claim()
    before = await bench.row(1), await bench.store.read.attempts(1), await bench.store.read.newest_seq()
    for late in (
        lambda tx: jobs.settle(tx, old.attempt.id, success()),
        lambda tx: jobs.launched(tx, old.attempt.id, STARTED),
        lambda tx: jobs.adopted(tx, old.attempt.id, 9, "boot"),
    ):
        with pytest.raises(RefusedError, match="settled already"):
            await bench.store.write(late)
    after = await bench.row(1), await bench.store.read.attempts(1), await bench.store.read.newest_seq()
    assert after == before
    await bench.settle(new.attempt.id, success())


async def test_an_attempt_that_never_was_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFoundError, match="no attempt 5"):
        await bench.settle(5, success())


async def test_a_requeued_job_waits_for_its_time_and_keeps_its_failure(bench: Bench) -> None:
    claim = await running(bench)
    row = await bench.settle(claim.attempt.id, failure(kind=Failure.RATE_LIMITED, back=NOON + 60_000))
    assert (row.state, row.not_before, row.failure) == (State.READY, NOON + 60_000, Failure.RATE_LIMITED)
    assert row.ended_at is None
    assert await bench.claim() == []
    assert await bench.store.write(jobs.come_due) == NOON + 60_000
    bench.clock.now += 60_000
    assert await bench.store.write(jobs.come_due) is None
    (again,) = await bench.claim()
    assert (again.attempt.number, again.job.failure, again.job.reason) == (2, None, None)


async def test_more_jobs_than_one_look_opens_come_due_one_look_after_the_other(bench: Bench) -> None:
    await bench.submit(*(accepted(not_before=NOON + 1) for _ in range(750)))
    bench.clock.now += 1
    assert await bench.store.write(jobs.come_due) == NOON + 1, "the rest is due at once"
    assert await bench.store.write(jobs.come_due) is None
    assert len(await bench.claim(1_000)) == 750


async def test_a_job_that_finished_before_the_cancel_reached_it_has_succeeded(bench: Bench) -> None:
    claim = await running(bench)
    result = await bench.act(Verb.CANCEL, [1])
    assert (result.done, result.stopping) == ([], [1])
    assert (await bench.row(1)).stopping == "tester"
    row = await bench.settle(claim.attempt.id, success())
    assert (row.state, row.stopping) == (State.SUCCEEDED, None)
    assert row.reason is not None
    assert "before the cancel" in row.reason


async def test_a_cancelled_attempt_is_cancelled_even_where_it_would_go_back(bench: Bench) -> None:
    claim = await running(bench)
    await bench.act(Verb.CANCEL, [1])
    row = await bench.settle(claim.attempt.id, failure(kind=Failure.ENGINE_LOST, back=0))
    assert (row.state, row.stopping, row.failure) == (State.CANCELLED, None, None)


async def test_live_attempts_are_those_without_an_end(bench: Bench) -> None:
    await bench.submit(accepted("a"), accepted("b"), accepted("c"))
    given = await bench.claim(3)
    await bench.settle(given[1].attempt.id, success())
    live = await bench.store.look(claims.live_attempts)
    assert [(claim.job.id, claim.spec.prompt) for claim in live] == [(1, "a"), (3, "c")]


# Money


async def test_usage_is_added_over_attempts_and_never_twice(bench: Bench) -> None:
    first = await running(bench)
    await bench.settle(first.attempt.id, failure(priced(), back=0))
    with pytest.raises(RefusedError):
        await bench.settle(first.attempt.id, failure(priced(), back=0))
    (second,) = await bench.claim()
    row = await bench.settle(second.attempt.id, success(priced(), priced("haiku", 7)))
    assert (row.cost_micros, row.input_tokens, row.output_tokens) == (207, 39, 15)
    assert await bench.store.read.spend_since(NOON) == (207, Grade.REPORTED)


async def test_an_ending_that_names_a_model_twice_counts_it_once(bench: Bench) -> None:
    claim = await running(bench)
    row = await bench.settle(claim.attempt.id, success(priced(), priced()))
    assert (row.state, row.cost_micros, row.input_tokens) == (State.SUCCEEDED, 100, 13)
    assert await bench.store.read.usage(claim.attempt.id) == [priced()]


REPORTED, COMPUTED, ESTIMATED, UNKNOWN = Grade


@pytest.mark.parametrize(
    ("parts", "cost", "grade"),
    [
        ([], None, UNKNOWN),
        ([(100, REPORTED)], 100, REPORTED),
        ([(100, REPORTED), (5, COMPUTED)], 105, COMPUTED),
        ([(100, ESTIMATED), (5, COMPUTED)], 105, ESTIMATED),
        ([(100, REPORTED), (None, UNKNOWN)], 100, UNKNOWN),
        ([(100, REPORTED), (None, REPORTED)], 100, UNKNOWN),
        ([(None, UNKNOWN)], None, UNKNOWN),
        ([(0, REPORTED)], 0, REPORTED),
    ],
)
async def test_a_sum_shows_its_worst_grade_in_one_attempt_and_over_several(
    bench: Bench, parts: list[tuple[int | None, Grade]], cost: int | None, grade: Grade
) -> None:
    usage = tuple(priced(str(n), *part) for n, part in enumerate(parts))
    assert total_cost(usage) == (cost, grade)

    claim = await running(bench)
    together = await bench.settle(claim.attempt.id, success(*usage))
    assert (together.cost_micros, together.cost_grade) == (cost, grade)

    await bench.submit(accepted())
    for one in usage:
        (claim,) = await bench.claim()
        await bench.settle(claim.attempt.id, failure(one, back=0))
    (claim,) = await bench.claim()
    apart = await bench.settle(claim.attempt.id, success())
    assert (apart.cost_micros, apart.cost_grade) == (cost, grade)


async def test_spend_counts_from_a_time_on(bench: Bench) -> None:
    assert await bench.store.read.spend_since(0) == (0, Grade.REPORTED)
    claim = await running(bench)
    await bench.settle(claim.attempt.id, success(priced()))
    bench.clock.now += 1_000
    claim = await running(bench)
    await bench.settle(claim.attempt.id, success(priced(cost=None, grade=Grade.UNKNOWN), priced("b", 5, ESTIMATED)))
    assert await bench.store.read.spend_since(NOON) == (105, Grade.UNKNOWN)
    assert await bench.store.read.spend_since(NOON + 1) == (5, Grade.UNKNOWN)
    assert await bench.store.read.spend_since(NOON + 1_001) == (0, Grade.REPORTED)
