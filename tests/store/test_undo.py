"""Taking back: each verb and its undo leave things as they were, and what cannot come back is said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from engine import events as log
from engine.errors import NotFoundError, RefusedError
from engine.model import ALL, ActionResult, JobSpec, OnFailure, State, Target, Undone, Verb
from engine.store import Store, actions, submit, verbs
from engine.store.fold import rebuild
from engine.store.places import Place
from engine.store.submit import Accepted, Needs
from engine.store.verbs import Request
from engine.store.writer import RollbackError
from tests.store.samples import NOON, Bench, accepted, connect, failure, success, table, transaction

WHAT: dict[Verb, dict[str, object]] = {
    Verb.HOLD: {},
    Verb.RELEASE: {},
    Verb.CANCEL: {},
    Verb.RETRY: {},
    Verb.PRIORITY: {"priority": 1},
    Verb.SNOOZE: {"not_before": NOON + 9_000},
    Verb.REROUTE: {"target": Target("claude", "opus", "work")},
    Verb.EDIT: {"edit": (JobSpec(prompt="other"), "other")},
    Verb.MOVE: {"place": Place.parse("first")},
}


async def act(bench: Bench, verb: Verb, *ids: int, scope: str = "", **what: object) -> ActionResult:
    request = Request(verb, ids, "ann", scope=scope, **{**WHAT.get(verb, {}), **what})  # type: ignore[arg-type]
    return (await bench.store.write(lambda tx: verbs.act(tx, request))).result


async def undo(bench: Bench, action: int | None = None, *, dry_run: bool = False) -> Undone:
    return (await bench.store.write(lambda tx: actions.undo(tx, "ann", action, dry_run=dry_run))).undone


def after(*needs: int, on_failure: OnFailure | None = None) -> Accepted:
    spec = JobSpec(prompt="x", on_failure=on_failure)
    return Accepted(spec, "x", "shell", None, None, None, all_of=Needs(needs))


@pytest.fixture
async def five(bench: Bench) -> Bench:
    """One job each: ready, running, succeeded, failed, and one that waits for the first."""
    await bench.submit(*(accepted(str(n), priority=9 - n) for n in (1, 2, 3, 4)))
    for end in (failure(), success(), None):
        (claim,) = await bench.claim()
        if end:
            await bench.settle(claim.attempt.id, end)
    spec = JobSpec(prompt="5")
    await bench.submit(Accepted(spec, "5", "shell", None, None, None, all_of=Needs((1,))))
    return bench


@pytest.mark.parametrize("verb", list(WHAT))
async def test_each_verb_is_taken_back_whole(five: Bench, verb: Verb) -> None:
    if verb is Verb.RELEASE:
        await act(five, Verb.HOLD, 1, 2, 5)
    before = {row.id: row.standing for row in await five.store.read.rows([1, 2, 3, 4, 5])}
    result = await act(five, verb, 1, 3, 4, 5)
    assert result.done
    undone = await undo(five)
    assert (undone.action, undone.verb, undone.lost) == (result.action, verb, {})
    after = {row.id: row.standing for row in await five.store.read.rows([1, 2, 3, 4, 5])}
    assert after == before


async def test_a_running_job_that_was_cancelled_cannot_come_back(five: Bench) -> None:
    await act(five, Verb.CANCEL, 1, 2)
    undone = await undo(five)
    assert undone.restored == [1, 5], "with the one that was skipped because of it"
    assert undone.lost == {actions.STOPPED: [2]}


async def test_what_has_moved_on_since_is_left_and_said(five: Bench) -> None:
    await act(five, Verb.RETRY, 3, 4)
    (claim,) = await five.claim()
    undone = await undo(five)
    (left,) = {3, 4} - {claim.job.id}
    assert undone.restored == [left]
    assert undone.lost == {"it has moved on since: it is running": [claim.job.id]}


async def test_an_older_action_is_taken_back_where_nothing_else_touched_it(five: Bench) -> None:
    held = await act(five, Verb.HOLD, 1)
    await act(five, Verb.PRIORITY, 1)
    assert (await undo(five, held.action)).restored == [1]
    row = await five.row(1)
    assert (row.held_by, row.priority) == (None, 1)
    with pytest.raises(RefusedError, match="taken back already"):
        await undo(five, held.action)
    with pytest.raises(NotFoundError, match="there is no action 99"):
        await undo(five, 99)


async def test_ten_thousand_jobs_are_taken_back_in_one_step_after_a_restart(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    ids = await store.write(lambda tx: submit.submit(tx, [accepted() for _ in range(10_000)]))
    await store.write(lambda tx: verbs.act(tx, Request(Verb.CANCEL, ids, "ann")))
    await store.close()
    store = await Store.open(tmp_path)
    taken = await store.write(lambda tx: actions.undo(tx, "ann", None, dry_run=False))
    assert len(taken.undone.restored) == 10_000
    assert (await store.read.counts()).ready == 10_000
    with pytest.raises(NotFoundError, match="nothing to undo"):
        await store.write(lambda tx: actions.undo(tx, "ann", None, dry_run=False))
    await store.close()


async def test_scopes_are_taken_back(bench: Bench) -> None:
    await act(bench, Verb.HOLD, scope=ALL)
    await act(bench, Verb.CAP, scope="tag:gpu", limit=2)
    await act(bench, Verb.CAP, scope="tag:gpu", limit=1)
    assert (await undo(bench)).said == "the cap on tag:gpu is 2"
    assert (await undo(bench)).said == "the cap on tag:gpu is as headway.yaml says"
    assert (await undo(bench)).said == "all is released"
    assert await bench.store.read.held_all() is None


async def test_a_key_that_another_job_has_by_now_is_in_the_way(bench: Bench) -> None:
    keyed = Accepted(JobSpec(prompt="x", key="k"), "x", "shell", None, None, None)
    await bench.submit(keyed)
    await act(bench, Verb.CANCEL, 1)
    await bench.submit(keyed)
    assert (await undo(bench)).lost == {"J2 has its key 'k' now": [1]}


async def test_what_an_action_set_free_waits_again(bench: Bench) -> None:
    await bench.submit(accepted())
    await bench.submit(after(1, on_failure=OnFailure.RUN))
    result = await act(bench, Verb.CANCEL, 1)
    assert result.also == {"set free, as they run however it ends": [2]}
    assert (await bench.row(2)).state is State.READY
    assert (await undo(bench)).restored == [1, 2]
    assert (await bench.row(2)).state is State.BLOCKED


async def test_a_failure_that_was_overruled_stays_so(bench: Bench) -> None:
    await bench.submit(accepted(), accepted())
    await bench.submit(after(1, 2))
    await act(bench, Verb.CANCEL, 1)
    retried = await act(bench, Verb.RETRY, 3)
    await act(bench, Verb.CANCEL, 3)
    assert (await undo(bench)).restored == [3]
    assert (await bench.row(3)).state is State.BLOCKED, "it waits for 2, and is not asked about 1 again"
    await act(bench, Verb.CANCEL, 2)
    assert (await undo(bench)).restored == [2, 3]
    assert (await undo(bench, retried.action)).restored == [3]
    assert (await bench.row(3)).state is State.CANCELLED
    assert (await bench.store.read.dependencies(3))[0] == {1: "cancelled", 2: ""}, "until that is taken back"


async def test_what_ran_meanwhile_is_not_said_to_be_as_it_was(five: Bench) -> None:
    await act(five, Verb.RETRY, 4)
    (claim,) = await five.claim()
    five.clock.now += 1
    await five.settle(claim.attempt.id, failure())
    assert (await undo(five)).lost == {"it has moved on since: it is failed": [4]}


async def test_what_comes_after_one_that_cannot_come_back_cannot_either(bench: Bench) -> None:
    keyed = Accepted(JobSpec(prompt="x", key="k"), "x", "shell", None, None, None)
    await bench.submit(keyed)
    await bench.submit(after(1))
    await act(bench, Verb.CANCEL, 1)
    await bench.submit(keyed)
    undone = await undo(bench)
    assert (undone.restored, undone.lost) == ([], {"J3 has its key 'k' now": [1], actions.DOOMED: [2]})
    assert (await bench.row(2)).state is State.CANCELLED


async def test_a_scope_that_has_changed_since_is_left(bench: Bench) -> None:
    held = await act(bench, Verb.HOLD, scope=ALL)
    capped = await act(bench, Verb.CAP, scope=ALL, limit=2)
    await act(bench, Verb.RELEASE, scope=ALL)
    await act(bench, Verb.CAP, scope=ALL, limit=3)
    assert (await undo(bench, held.action)).said == "the hold on all has changed since, and stays as it is"
    assert (await undo(bench, capped.action)).said == "the cap on all has changed since, and stays as it is"
    assert await bench.store.read.caps() == {ALL: 3}


async def test_a_dry_undo_says_the_same_and_leaves_no_trace(five: Bench) -> None:
    def dump() -> list[str]:
        connection = sqlite3.connect(five.path)
        found = list(connection.iterdump())
        connection.close()
        return found

    await act(five, Verb.CANCEL, 1, 2)
    before = dump()
    would = await undo(five, dry_run=True)
    assert dump() == before
    done = await undo(five)
    assert (would.restored, would.lost) == (done.restored, done.lost)


_STEPS = st.lists(
    st.tuples(st.sampled_from(list(WHAT)), st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True)), max_size=8
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(_STEPS)
def test_all_of_it_taken_back_in_turn_is_as_if_nothing_had_been(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Verb, list[int]]]
) -> None:
    connection = connect(tmp_path_factory.mktemp("undo") / "headway.db")
    tx = transaction(connection)
    chain = [Accepted(JobSpec(prompt="x"), "x", "shell", None, None, None, all_of=Needs((n,))) for n in (1, 4)]
    submit.submit(tx, [accepted(), accepted(priority=2), accepted(not_before=NOON + 5)])
    submit.submit(tx, [chain[0]])
    submit.submit(tx, [chain[1], accepted()])
    before = {number: row.standing for number, row in table(connection).items()}
    done = 0
    for verb, ids in steps:
        acted = verbs.act(tx, Request(verb, ids, "ann", **WHAT[verb]))  # type: ignore[arg-type]
        done += acted.result.action is not None
    for _ in range(done):
        assert actions.undo(tx, "ann", None, dry_run=False).undone.lost == {}
    assert {number: row.standing for number, row in table(connection).items()} == before
    assert rebuild(connection) == table(connection)
    with pytest.raises((NotFoundError, RollbackError)):
        actions.undo(tx, "ann", None, dry_run=True)
    connection.close()


# Places


async def test_jobs_are_moved_before_after_first_and_last(bench: Bench) -> None:
    await bench.submit(*(accepted() for _ in range(5)), accepted(priority=1))

    async def queue() -> list[int]:
        return list(await bench.store.read.order(verbs.Filter("1", (), frozenset(State))))

    assert await queue() == [6, 1, 2, 3, 4, 5]
    await act(bench, Verb.MOVE, 4, 5, place=Place.parse("before:J2"))
    assert await queue() == [6, 1, 4, 5, 2, 3]
    await act(bench, Verb.MOVE, 1, place=Place.parse("last"))
    assert await queue() == [6, 4, 5, 2, 3, 1]
    await act(bench, Verb.MOVE, 3, 2, place=Place.parse("after:6"))
    assert await queue() == [6, 3, 2, 4, 5, 1], "and they take its priority"
    assert (await bench.row(3)).priority == 1
    with pytest.raises(RefusedError, match="no place in the queue any more"):
        await act(bench, Verb.CANCEL, 1)
        await act(bench, Verb.MOVE, 2, place=Place.parse("after:1"))


async def places(bench: Bench) -> list[int]:
    return list(await bench.store.read.order(verbs.Filter("1", (), frozenset(State))))


async def test_there_is_always_room_for_one_more(bench: Bench) -> None:
    """A hundred jobs to one place, one by one: the order is right, the log tells it, undo knows it."""
    ids = await bench.submit(*(accepted() for _ in range(140)))
    expected = list(ids)
    for number, job in enumerate(ids[40:]):
        where, beside = ("before", 20) if number % 2 else ("after", 10)
        await act(bench, Verb.MOVE, job, place=Place.parse(f"{where}:{beside}"))
        expected.remove(job)
        expected.insert(expected.index(beside) + (where == "after"), job)
    assert await places(bench) == expected
    moved = sum(isinstance(event.body, log.Moved) for event in bench.published)
    assert moved < 100 * 10, "few have to step aside"
    connection = sqlite3.connect(bench.path)
    assert rebuild(connection) == table(connection)
    connection.close()
    for _ in range(100):
        assert (await undo(bench)).lost == {}
    assert await places(bench) == ids


async def test_many_at_once_find_room_where_there_is_none(bench: Bench) -> None:
    ids = await bench.submit(*(accepted() for _ in range(50)))
    for job in ids[30:50]:
        await act(bench, Verb.MOVE, job, place=Place.parse("after:1"))
    await act(bench, Verb.MOVE, *ids[10:30], place=Place.parse("after:1"))
    assert (await places(bench))[:22] == [1, *ids[10:30], ids[49]]
    result = await act(bench, Verb.MOVE, 2, 1, 3, place=Place.parse(f"before:{ids[49]}"))
    assert result.done == [2, 1, 3]
    assert (await places(bench))[:25] == [*ids[10:30], 2, 1, 3, ids[49], ids[48]]
