"""The operator's verbs: what they do, what they leave alone and why, and what a dry run leaves behind."""

from __future__ import annotations

import json
import sqlite3

import pytest

from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import ALL, Failure, JobSpec, State, Target, Verb
from engine.store import actions, claims, tools, verbs
from engine.store.submit import Accepted, Needs
from engine.store.tools import Parent
from engine.store.verbs import Request
from tests.store.samples import NOON, Bench, accepted, failure, success, table


@pytest.fixture
async def four(bench: Bench) -> Bench:
    """One job each: ready, running, succeeded, failed."""
    await bench.submit(*(accepted(str(n), priority=9 - n) for n in (1, 2, 3, 4)))
    for end in (failure(), success(), None):
        (claim,) = await bench.claim()
        if end:
            await bench.settle(claim.attempt.id, end)
    return bench


def states(bench: Bench) -> list[State]:
    connection = sqlite3.connect(bench.path)
    found = [row.state for row in table(connection).values()]
    connection.close()
    return found


async def test_each_verb_says_what_it_did_and_why_it_left_the_rest(four: Bench) -> None:
    assert states(four) == [State.READY, State.RUNNING, State.SUCCEEDED, State.FAILED]
    everything = [1, 2, 3, 4]
    held = await four.act(Verb.HOLD, everything)
    assert (held.done, held.skipped) == ([1, 2], {"already succeeded": [3], "already failed": [4]})
    again = await four.act(Verb.HOLD, [1])
    assert (again.done, again.skipped) == ([], {"already held": [1]})
    released = await four.act(Verb.RELEASE, everything)
    assert (released.done, released.skipped) == ([1, 2], {"not held": [3, 4]})
    retried = await four.act(Verb.RETRY, everything)
    assert (retried.done, retried.skipped) == ([3, 4], {"still ready": [1], "still running": [2]})
    cancelled = await four.act(Verb.CANCEL, everything)
    assert (cancelled.done, cancelled.stopping, cancelled.skipped) == ([1, 3, 4], [2], {})


async def test_a_second_cancel_finds_the_same_attempt_and_logs_nothing_more(four: Bench) -> None:
    await four.act(Verb.CANCEL, [2])
    seq = await four.store.read.newest_seq()
    assert (await four.act(Verb.CANCEL, [2])).stopping == [2]
    assert await four.store.read.newest_seq() == seq


async def test_an_id_given_twice_counts_once(four: Bench) -> None:
    assert (await four.act(Verb.HOLD, [1, 1, 1])).done == [1]


@pytest.mark.parametrize("missing", [99, 0, -1, 1 << 63, 1 << 70])
async def test_one_missing_job_and_nothing_is_done_to_any(four: Bench, missing: int) -> None:
    seq = await four.store.read.newest_seq()
    with pytest.raises(NotFoundError, match=str(missing)):
        await four.act(Verb.CANCEL, [1, missing])
    assert await four.store.read.newest_seq() == seq


async def test_no_jobs_at_all_is_a_mistake(four: Bench) -> None:
    with pytest.raises(UsageError, match="hold needs one or more job ids"):
        await four.act(Verb.HOLD, [])


@pytest.mark.parametrize("verb", [Verb.HOLD, Verb.RELEASE, Verb.CANCEL, Verb.RETRY])
async def test_a_dry_run_says_the_same_and_leaves_no_trace(four: Bench, verb: Verb) -> None:
    seq, before = await four.store.read.newest_seq(), states(four)
    told = len(four.published)
    dry = await four.act(verb, [1, 2, 3, 4], dry_run=True)
    assert dry.dry_run
    assert (await four.store.read.newest_seq(), states(four), len(four.published)) == (seq, before, told)
    real = await four.act(verb, [1, 2, 3, 4])
    assert (dry.done, dry.stopping, dry.skipped) == (real.done, real.stopping, real.skipped)


async def test_every_action_is_recorded_with_how_things_stood(four: Bench) -> None:
    await four.act(Verb.HOLD, [1, 3])
    connection = sqlite3.connect(four.path)
    ((at, verb, by, ids, inverse),) = connection.execute("SELECT at, verb, by, jobs, inverse FROM actions")
    connection.close()
    assert (at, verb, by, json.loads(ids)) == (NOON, "hold", "tester", [1])
    assert json.loads(inverse) == {"jobs": {"1": {"held_by": [None, "tester"]}}}


async def test_what_changed_nothing_is_not_recorded(four: Bench) -> None:
    await four.act(Verb.RELEASE, [1, 2])
    connection = sqlite3.connect(four.path)
    assert connection.execute("SELECT count(*) FROM actions").fetchone() == (0,)
    connection.close()


async def test_everything_is_held_and_released_at_once(four: Bench) -> None:
    async def all_of_it(verb: Verb) -> None:
        await four.store.write(lambda tx: verbs.act(tx, Request(verb, (), "me", scope=ALL)))

    await all_of_it(Verb.HOLD)
    await all_of_it(Verb.HOLD)
    assert await four.store.read.held_all() == "me"
    assert await four.store.look(claims.holds) == {ALL: "me"}
    await all_of_it(Verb.RELEASE)
    assert await four.store.read.held_all() is None
    for verb in (Verb.CANCEL, Verb.RETRY):
        with pytest.raises(UsageError, match="takes job ids"):
            await all_of_it(verb)


async def test_a_cancelled_job_that_is_retried_keeps_its_hold(four: Bench) -> None:
    await four.act(Verb.HOLD, [1])
    assert (await four.store.read.counts()).held == 1
    await four.act(Verb.CANCEL, [1])
    assert (await four.store.read.counts()).held == 0, "only unfinished jobs count as held"
    await four.act(Verb.RETRY, [1])
    assert (await four.store.read.counts()).held == 1
    assert (await four.row(1)).held_by == "tester"


async def test_a_thousand_jobs_are_one_action(bench: Bench) -> None:
    ids = await bench.submit(*(accepted() for _ in range(1_000)))
    assert (await bench.act(Verb.HOLD, ids)).done == ids
    assert (await bench.store.read.counts()).held == 1_000


@pytest.mark.parametrize(
    ("kind", "to", "waits"),
    [
        (Failure.RATE_LIMITED, Target("shell", None, "other"), False),
        (Failure.RATE_LIMITED, Target("shell", "small"), True),
        (Failure.CRASHED, Target("shell", None, "other"), True),
    ],
)
async def test_a_limit_of_the_old_account_is_not_waited_for_on_another(
    bench: Bench, kind: Failure, to: Target, waits: bool
) -> None:
    await bench.submit(accepted())
    (claim,) = await bench.claim()
    await bench.settle(claim.attempt.id, failure(kind=kind, back=NOON + 60_000))
    request = Request(Verb.REROUTE, [1], "ann", target=to)
    await bench.store.write(lambda tx: verbs.act(tx, request))
    assert (await bench.row(1)).not_before == (NOON + 60_000 if waits else None)
    await bench.store.write(lambda tx: actions.undo(tx, "ann", None, dry_run=False))
    assert (await bench.row(1)).not_before == NOON + 60_000


async def test_a_time_that_the_operator_chose_stays_on_any_account(bench: Bench) -> None:
    await bench.submit(accepted())
    (claim,) = await bench.claim()
    await bench.settle(claim.attempt.id, failure(kind=Failure.RATE_LIMITED, back=NOON + 60_000))
    for request in (
        Request(Verb.SNOOZE, [1], "ann", not_before=NOON + 90_000),
        Request(Verb.REROUTE, [1], "ann", target=Target("shell", None, "other")),
    ):
        await bench.store.write(lambda tx, request=request: verbs.act(tx, request))
    assert (await bench.row(1)).not_before == NOON + 90_000


async def test_a_dry_cancel_of_a_running_job_and_of_what_comes_after_it_says_what_a_real_one_does(four: Bench) -> None:
    spec = JobSpec(prompt="x")
    follower = Accepted(spec, "x", "shell", None, None, None, all_of=Needs((2,)))
    await four.submit(follower, follower)
    dry = await four.act(Verb.CANCEL, [2, 5], dry_run=True)
    assert (dry.stopping, dry.done) == ([2], [5])
    assert dry.also == {verbs.SKIPPED_LATER: [6]}
    real = await four.act(Verb.CANCEL, [2, 5])
    assert (real.stopping, real.done, real.also) == ([2], [5], {})


async def test_cancelling_a_job_cancels_what_its_agents_submitted_and_says_so_before(bench: Bench) -> None:
    """Nobody is left who waits for it. What has ended stays, and what is named itself is told by its number."""
    (parent,) = await bench.submit(accepted("1"))
    ((first,), boot) = (await bench.claim(), "boot")
    children = await bench.submit(*(accepted(str(n)) for n in (2, 3, 4)))
    for child in children:
        await bench.store.write(lambda tx, child=child: tools.adopt(tx, Parent(first.attempt.id, 3, 8), child))
    (second,) = await bench.claim()
    assert second.job.id == children[0]
    (grandchild,) = await bench.submit(accepted("5"))
    await bench.store.write(lambda tx: tools.adopt(tx, Parent(second.attempt.id, 3, 8), grandchild))
    (third,) = await bench.claim(boot=boot)
    await bench.settle(third.attempt.id, success())
    below = [children[0], children[2], grandchild]
    for dry_run in (True, False):
        result = await bench.act(Verb.CANCEL, [parent], dry_run=dry_run)
        assert (result.done, result.stopping) == ([], [parent, children[0]])
        assert result.also == {verbs.SUBMITTED: below}
    assert [(await bench.row(job)).state for job in (*children, grandchild)] == [
        State.RUNNING, State.SUCCEEDED, State.CANCELLED, State.CANCELLED,
    ]  # fmt: skip
    with pytest.raises(RefusedError, match="is being cancelled"):
        (late,) = await bench.submit(accepted("6"))
        await bench.store.write(lambda tx: tools.adopt(tx, Parent(first.attempt.id, 3, 8), late))


async def test_undo_brings_back_what_was_cancelled_with_its_parent(bench: Bench) -> None:
    (parent,) = await bench.submit(accepted("1"))
    (claim,) = await bench.claim()
    (child,) = await bench.submit(accepted("2"))
    await bench.store.write(lambda tx: tools.adopt(tx, Parent(claim.attempt.id, 3, 8), child))
    await bench.settle(claim.attempt.id, failure())
    await bench.act(Verb.RETRY, [parent])
    assert (await bench.act(Verb.CANCEL, [parent])).done == [parent]
    assert (await bench.row(child)).state is State.CANCELLED
    undone = await bench.store.write(lambda tx: actions.undo(tx, "tester", None, dry_run=False))
    assert sorted(undone.undone.restored) == [parent, child]
    assert [(await bench.row(job)).state for job in (parent, child)] == [State.READY, State.READY]
