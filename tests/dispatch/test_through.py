"""The queue as a whole: when it is through, and what it costs, as games with drawn durations tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.dispatch.forecast import Span, forecast, last_finish, simulate
from engine.dispatch.through import LEAST_GAMES, MOST_GAMES, percentile, through
from engine.model import ALL, State
from engine.store.lanes import Lane
from engine.store.queue import History, Open, Queue, Running, Sample, Took
from engine.store.rows import JobRow, lane_of
from tests.dispatch.samples import NOW, job, world

pytestmark = pytest.mark.long

MINUTE = 60_000


def queue(*rows: JobRow, running: tuple[Running, ...] = (), needs: dict[int, Open] | None = None) -> Queue:
    return Queue({row.id: row for row in rows}, running, needs or {})


def history(*samples: Sample, agent: str = "claude") -> History:
    return History(by_target={agent: Took.of(samples)})


def minutes(at: int | None) -> float:
    assert at is not None
    return (at - NOW) / MINUTE


def test_where_nothing_varies_it_is_what_the_forecast_of_each_job_says() -> None:
    known = history((10 * MINUTE, 2_000))
    rows = [job(number) for number in range(1, 8)]
    found = through(queue(*rows), world(2), known)
    assert (
        found.finish == found.finish_late == last_finish(forecast(queue(*rows), world(2), known)) == NOW + 40 * MINUTE
    )
    assert (found.cost_micros, found.cost_late_micros) == (14_000, 14_000)
    assert (found.jobs, found.borrowed, found.unpriced, found.stuck, found.why) == (7, 0, 0, 0, "")


def test_that_all_are_slow_at_once_is_not_what_nine_of_ten_games_tell() -> None:
    known = history(*[(MINUTE, 100)] * 8, *[(60 * MINUTE, 9_000)] * 2)
    rows = [job(number) for number in range(1, 41)]
    found = through(queue(*rows), world(1), known)
    each_slow = forecast(queue(*rows), world(1), known)
    assert minutes(found.finish) < minutes(found.finish_late) < 40 * 60 == minutes(each_slow[40].finish_late)
    # 40 draws, a fifth of them an hour: 8 +- 2.5 hours.
    assert 6 * 60 < minutes(found.finish) < 10 * 60
    assert 9 * 60 < minutes(found.finish_late) < 14 * 60
    assert (found.cost_micros or 0) < (found.cost_late_micros or 0)


def test_an_attempt_that_has_outlasted_most_is_drawn_from_those_that_were_longer() -> None:
    known = history((MINUTE, None), (30 * MINUTE, None))
    row = job(1, state=State.RUNNING, started_at=NOW - 5 * MINUTE)
    found = through(queue(running=(Running(row, lane_of(row), NOW - 5 * MINUTE),)), world(1), known)
    assert minutes(found.finish) == minutes(found.finish_late) == 25


def test_what_is_not_known_is_said() -> None:
    known = history((10 * MINUTE, 2_000))
    found = through(queue(job(1), job(2, agent="codex"), job(3, held_by="ann")), world(2), known)
    assert (found.borrowed, found.stuck, found.jobs) == (1, 1, 3)
    assert found.finish == NOW + 10 * MINUTE, "of the two that come to an end"
    nothing = through(queue(job(1)), world(1), History())
    assert (nothing.finish, nothing.cost_micros, nothing.games) == (None, None, 0)
    assert nothing.why == "no job has succeeded yet: there is nothing to go by"
    held = through(queue(job(1, held_by="ann")), world(1), known)
    assert (held.finish, held.cost_micros, held.why) == (None, None, "none of the jobs comes to its end by itself")
    assert through(Queue({}), world(1), known).finish == NOW


def test_what_costs_nothing_is_not_unpriced() -> None:
    known = History(by_target={"shell": Took.of([(MINUTE, None)]), "claude": Took.of([(MINUTE, None)])})
    found = through(queue(job(1, agent="shell"), job(2)), world(2), known, free={"shell"})
    assert (found.unpriced, found.cost_micros) == (1, 0)
    free = through(queue(job(1, agent="shell")), world(2), known, free={"shell"})
    assert (free.unpriced, free.cost_micros) == (0, 0)


def test_a_long_queue_is_played_less_often() -> None:
    known = history((MINUTE, 1))
    assert through(queue(job(1)), world(1), known).games == MOST_GAMES
    rows = {number: job(number) for number in range(1, 3_101)}
    assert through(Queue(rows), world(500), known).games == LEAST_GAMES


@pytest.mark.parametrize(("part", "found"), [(50, 5), (90, 9), (100, 10), (1, 1)])
def test_a_percentile_is_a_value_that_there_was(part: int, found: int) -> None:
    assert percentile(range(10, 0, -1), part) == found


# ---- what holds of every game


@dataclass(frozen=True)
class Fixed:
    """Each job lasts as long as it says, in minutes."""

    minutes: dict[int, int]

    def of(self, row: JobRow, lane: Lane) -> int:
        return self.minutes[row.id] * MINUTE

    def until(self, one: Running, now: int) -> int:
        return one.since + self.minutes[one.job.id] * MINUTE


def play(lasts: dict[int, int], slots: int, needs: dict[int, Open] | None = None) -> dict[int, Span]:
    rows = [job(n, state=State.BLOCKED if n in (needs or {}) else State.READY) for n in lasts]
    return simulate(queue(*rows, needs=needs), world(slots), Fixed(lasts))


_LASTS = st.lists(st.integers(1, 40), min_size=1, max_size=15).map(lambda all_: dict(enumerate(all_, 1)))


@given(_LASTS, st.integers(1, 5))
def test_without_dependencies_no_job_of_a_lane_is_later_for_one_more_slot(lasts: dict[int, int], slots: int) -> None:
    few, more = play(lasts, slots), play(lasts, slots + 1)
    for number in lasts:
        assert (more[number].start or 0) <= (few[number].start or 0)


@given(_LASTS, st.integers(1, 4), st.data())
def test_nor_for_a_job_that_ends_sooner(lasts: dict[int, int], slots: int, data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(sorted(lasts)))
    shorter = {**lasts, one: data.draw(st.integers(1, lasts[one]))}
    before, after = play(lasts, slots), play(shorter, slots)
    for number in lasts:
        assert (after[number].finish or 0) <= (before[number].finish or 0)


def test_with_dependencies_one_more_slot_can_make_it_later() -> None:
    """Graham's example of 1966: it is the list that is worked off in order, and no defect of ours."""
    lasts = {1: 3, 2: 2, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 8: 4, 9: 9}
    needs = {9: Open(frozenset({1})), **{n: Open(frozenset({4})) for n in (5, 6, 7, 8)}}
    ends = [max(minutes(one.finish) for one in play(lasts, slots, needs).values()) for slots in (3, 4)]
    assert ends == [12, 15]


_SAMPLES = st.lists(
    st.tuples(st.integers(1, 90).map(lambda n: n * MINUTE), st.none() | st.integers(0, 9_000)), min_size=1
)


@settings(max_examples=25, deadline=None)
@given(_SAMPLES, st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_the_middle_is_never_after_the_slow_tenth_and_within_what_can_be(
    samples: list[Sample], count: int, slots: int, seed: int
) -> None:
    known = history(*samples)
    rows = [job(number) for number in range(1, count + 1)]
    found = through(queue(*rows), world(slots), known, seed=seed)
    assert found == through(queue(*rows), world(slots), known, seed=seed), "the same dice, the same outlook"
    assert found.finish is not None and found.finish_late is not None
    rounds = -(-count // slots)
    shortest, longest = min(span for span, _ in samples), max(span for span, _ in samples)
    assert NOW + rounds * shortest <= found.finish <= found.finish_late <= NOW + rounds * longest
    if found.cost_micros is not None:
        priced = [cost for _, cost in samples if cost is not None]
        assert 0 <= found.cost_micros <= (found.cost_late_micros or 0) <= count * max(priced, default=0)


def test_the_world_stays_as_it_is() -> None:
    there = world(1)
    before = replace(there, running=dict(there.running))
    through(queue(job(1), job(2)), there, history((MINUTE, 1)))
    assert (there.now, there.running, there.caps) == (before.now, before.running, {ALL: 1})
