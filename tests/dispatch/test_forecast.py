"""When jobs start and finish: what the dispatcher's own order makes of the durations that are known."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from engine.dispatch.forecast import forecast, last_finish
from engine.dispatch.pacing import Mode, Pacing
from engine.dispatch.preview import Change, preview
from engine.dispatch.windows import observe
from engine.dispatch.world import World
from engine.model import ALL, Breaker, Estimate, Failure, State
from engine.store.queue import History, Open, Queue, Running, Took
from engine.store.rows import JobRow, lane_of
from engine.window import Reading, Standing
from tests.dispatch.samples import NOW, job, world

MINUTE = 60_000
KNOWN = History(by_target={"claude": Took(10 * MINUTE, 30 * MINUTE, 8, 2_000)})


def queue(*rows: JobRow, running: tuple[Running, ...] = (), needs: dict[int, Open] | None = None) -> Queue:
    return Queue({row.id: row for row in rows}, running, needs or {})


def runs(row: JobRow, since: int) -> Running:
    return Running(row, lane_of(row), since)


def busy(*rows: JobRow, slots: int = 1) -> World:
    there = world(slots)
    for row in rows:
        there.start(lane_of(row))
    return there


def minutes(at: int | None) -> float | None:
    return None if at is None else (at - NOW) / MINUTE


def times(found: dict[int, Estimate]) -> dict[int, tuple[float | None, float | None]]:
    return {number: (minutes(one.start), minutes(one.finish)) for number, one in found.items()}


def test_one_slot_is_taken_in_turn_and_slow_jobs_make_it_later() -> None:
    found = forecast(queue(job(1), job(2), job(3, priority=0)), world(1), KNOWN)
    assert times(found) == {1: (10, 20), 2: (20, 30), 3: (0, 10)}
    assert (minutes(found[2].start_late), minutes(found[2].finish_late)) == (60, 90)
    assert (found[1].cost_micros, found[1].basis, found[1].why) == (2_000, 8, "")
    assert last_finish(found) == NOW + 30 * MINUTE


def test_a_kind_of_its_own_has_durations_of_its_own() -> None:
    history = History({("docs", "claude"): Took(MINUTE, MINUTE, 2)}, KNOWN.by_target)
    found = forecast(queue(job(1, kind="docs"), job(2, kind="code")), world(2), history)
    assert times(found) == {1: (0, 1), 2: (0, 10)}


def test_without_history_there_is_no_time_and_it_says_so() -> None:
    found = forecast(queue(job(1), job(2, agent="shell")), world(1), KNOWN)
    assert times(found) == {1: (0, 10), 2: (10, None)}
    assert found[2].why == "no shell job has succeeded yet, so that there is no history to go by"
    assert last_finish(found) is None


def test_what_waits_behind_the_unknown_is_unknown() -> None:
    found = forecast(queue(job(1, agent="shell"), job(2)), world(1), KNOWN)
    assert times(found)[2] == (None, None)
    assert "of which nobody knows when they end" in found[2].why


def test_a_held_job_waits_for_a_person_and_holds_nobody_up() -> None:
    found = forecast(queue(job(1, held_by="ann"), job(2)), world(1), KNOWN)
    assert times(found) == {1: (None, None), 2: (0, 10)}
    assert found[1].why == "it is held by ann"


def test_a_time_a_pause_and_a_dependency_are_waited_for() -> None:
    blocked = job(3, state=State.BLOCKED)
    rows = (job(1), job(2, not_before=NOW + 15 * MINUTE), blocked)
    found = forecast(queue(*rows, needs={3: Open(frozenset({1}))}), world(9), KNOWN)
    assert times(found) == {1: (0, 10), 2: (15, 25), 3: (10, 20)}
    paused = Breaker("claude", Failure.OVERLOADED, (NOW,), NOW + 5 * MINUTE, 1, 1)
    found = forecast(queue(job(1)), world(9, breakers={"claude": paused}), KNOWN)
    assert times(found) == {1: (5, 15)}


def test_after_a_pause_one_goes_first_and_each_success_lets_twice_as_many_go() -> None:
    tried = Breaker("claude", Failure.OVERLOADED, (), NOW - 1, 1, 1)
    found = forecast(queue(*(job(n) for n in range(1, 5))), world(9, breakers={"claude": tried}), KNOWN)
    assert [minutes(found[n].start) for n in range(1, 5)] == [0, 10, 10, 20]


def test_a_closed_window_is_waited_for_then_one_goes_first_and_others_do_not_wait() -> None:
    told = Reading(window="five_hour", standing=Standing.CLOSED, at=NOW, source="it", resets_at=NOW + 60 * MINUTE)
    shut = observe(None, "claude", told, NOW, 0.0)
    rows = (*(job(n) for n in range(1, 5)), job(5, agent="shell"))
    there = world(9, windows={"claude": (shut,)}, probes={shut.key: 0})
    found = forecast(queue(*rows), there, KNOWN)
    assert [minutes(found[n].start) for n in range(1, 6)] == [60, 70, 70, 80, 0]
    assert there.windows["claude"] == (shut,), "the world that was given is as it was"


def test_paced_work_is_expected_once_the_window_is_reset() -> None:
    end = NOW + 30 * MINUTE
    told = Reading(window="five_hour", standing=Standing.OPEN, at=NOW, source="it", used=0.9, resets_at=end)
    much = observe(None, "claude", told, NOW, 0.0)
    pacing = Pacing(Mode.RESERVE, 0.2, 6)
    there = world(9, windows={"claude": (much,)}, usual_pacing=pacing)
    found = forecast(queue(job(1, priority=6), job(2)), there, KNOWN)
    assert [minutes(found[n].start) for n in (1, 2)] == [30, 0]


def test_what_takes_no_time_takes_its_slot_for_a_moment() -> None:
    history = History(by_target={"claude": Took(0, 0, 3)})
    found = forecast(queue(job(1), job(2)), world(1), history)
    assert (found[1].start, found[2].start) == (NOW, NOW + 1), "only one of them starts now"


def test_what_is_late_before_its_turn_never_starts() -> None:
    rows = (job(1), job(2, deadline=NOW + 5 * MINUTE), job(3, deadline=NOW + 15 * MINUTE), job(4, deadline=NOW))
    found = forecast(queue(*rows), world(1), KNOWN)
    assert times(found) == {1: (0, 10), 2: (None, None), 3: (10, 20), 4: (None, None)}
    assert found[2].why == "as things stand, its deadline comes before its turn"


def test_one_of_several_is_enough() -> None:
    rows = (job(1), job(2, not_before=NOW + 60 * MINUTE), job(3, state=State.BLOCKED))
    found = forecast(queue(*rows, needs={3: Open(any_of=frozenset({1, 2}))}), world(9), KNOWN)
    assert times(found)[3] == (10, 20)


def test_what_runs_is_expected_by_how_long_it_has_run() -> None:
    def end(ran: int) -> tuple[float | None, float | None]:
        one = job(1, state=State.RUNNING, started_at=NOW - ran * MINUTE)
        found = forecast(queue(running=(runs(one, NOW - ran * MINUTE),)), busy(one), KNOWN)[1]
        return minutes(found.finish), minutes(found.finish_late)

    assert end(4) == (6, 26)
    assert end(12) == (18, 18), "past the median it is taken for a slow one"
    assert end(40) == (10, 10), "past nine of ten it is a guess"


_JOBS = st.lists(
    st.tuples(st.sampled_from(["claude", "shell"]), st.integers(0, 3), st.sampled_from([None, 3, 20])), max_size=12
)


@settings(max_examples=60)
@given(_JOBS, st.integers(1, 4))
def test_no_more_run_at_once_than_may_and_none_before_its_time(
    wanted: list[tuple[str, int, int | None]], slots: int
) -> None:
    history = History(by_target={"claude": Took(10 * MINUTE, 12 * MINUTE, 3), "shell": Took(7 * MINUTE, 9 * MINUTE, 3)})
    rows = [
        job(n, agent=agent, priority=priority, not_before=None if at is None else NOW + at * MINUTE)
        for n, (agent, priority, at) in enumerate(wanted, 1)
    ]
    found = forecast(queue(*rows), world(slots), history)
    spans = [(one.start, one.finish) for one in found.values()]
    for row in rows:
        start = found[row.id].start
        assert start is not None
        assert start >= (row.not_before or NOW)
    for start, _ in spans:
        assert start is not None
        assert sum(s is not None and f is not None and s <= start < f for s, f in spans) <= slots


def test_a_preview_tells_who_moves_and_what_it_costs() -> None:
    first, second = job(1), job(2)
    found = preview(queue(first, second), world(1), KNOWN, Change({1: job(1, state=State.CANCELLED)}))
    one, two = found.shifts
    assert (one.job, one.after) == (1, None)
    assert (two.job, two.now) == (2, True)
    assert (minutes(found.finish_before), minutes(found.finish_after)) == (20, 10)
    assert found.cost_micros == -2_000


def test_a_preview_of_a_hold_on_everything_starts_nothing() -> None:
    found = preview(queue(job(1)), world(1), KNOWN, Change(holds={ALL: "ann"}))
    (one,) = found.shifts
    assert one.after is not None
    assert (one.after.start, one.waits) == (None, "everything is held by ann")


def test_a_preview_of_a_stop_frees_the_slot() -> None:
    one = job(1, state=State.RUNNING)
    there = busy(one)
    found = preview(queue(job(2), running=(runs(one, NOW),)), there, KNOWN, Change(stopped=frozenset({1})))
    stopped, freed = found.shifts
    assert stopped.stops
    assert (freed.job, freed.now) == (2, True)
    assert there.total == 1, "the world itself is as it was"


def test_a_job_that_began_to_run_while_a_change_was_thought_out_runs() -> None:
    began, waits = job(1), job(2)
    there = queue(waits, running=(runs(job(1, state=State.RUNNING), NOW),))
    found = preview(there, busy(began), KNOWN, Change({1: began}))
    assert {shift.job: (shift.now, shift.stops) for shift in found.shifts} == {1: (False, False)}
    assert found.finish_after == found.finish_before == NOW + 20 * MINUTE


def test_a_preview_of_a_reroute_tells_the_money_and_whose_limits_it_is() -> None:
    history = History(by_target={"claude": Took(MINUTE, MINUTE, 2, 2_000), "codex": Took(MINUTE, MINUTE, 2, 500)})
    seen = Reading(window="five_hour", standing=Standing.WARNING, at=NOW, source="x", used=0.9, resets_at=NOW + MINUTE)
    there = world(1)
    there.windows = {"claude": (observe(None, "claude", seen, NOW, 0.0),)}
    moved = preview(queue(job(1), job(2)), there, history, Change({1: job(1, agent="codex")}))
    assert (moved.cost_micros, moved.unpriced) == (-1_500, 0)
    fewer, more = moved.quota
    assert (fewer.account, fewer.jobs, fewer.window, fewer.used) == ("claude", -1, "five_hour", 0.9)
    assert (more.account, more.jobs, more.used) == ("codex", 1, None)
    held = preview(queue(job(1), job(2)), there, history, Change({1: job(1, held_by="ann")}))
    assert [(one.account, one.jobs) for one in held.quota] == [("claude", -1)]
    assert preview(queue(job(1)), there, history, Change({1: job(1, priority=0)})).quota == []
