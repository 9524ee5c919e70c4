"""The retry budget: a burst at once, then one in each interval, whatever asks for it."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from engine.dispatch.budget import Budget, take
from tests.dispatch.samples import NOW

BUDGET = Budget(burst=10, every=30_000)


def test_a_hundred_jobs_that_fail_together_come_back_one_after_the_other() -> None:
    booked, times = 0, []
    for _ in range(100):
        booked, at = take(BUDGET, booked, NOW)
        times.append(at)
    assert times[:10] == [NOW] * 10
    assert times[10:13] == [NOW + 30_000, NOW + 60_000, NOW + 90_000]
    assert times[-1] == NOW + 90 * 30_000


def test_what_was_not_used_comes_back_but_never_more_than_the_burst() -> None:
    booked = 0
    for _ in range(10):
        booked, _ = take(BUDGET, booked, NOW)
    later = NOW + 1_000_000_000
    times = []
    for _ in range(11):
        booked, at = take(BUDGET, booked, later)
        times.append(at)
    assert times == [later] * 10 + [later + 30_000]


@given(st.lists(st.integers(0, 500_000), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 50_000))
def test_no_window_holds_more_than_the_burst_and_what_came_meanwhile(pauses: list[int], burst: int, every: int) -> None:
    budget, booked, now, times = Budget(burst, every), 0, NOW, []
    for pause in pauses:
        now += pause
        booked, at = take(budget, booked, now)
        assert at >= now
        times.append(at)
    times.sort()
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - times[first]) // every
