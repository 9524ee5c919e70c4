"""The breaker of a target: five strikes of one class pause it, one attempt tries it, then it is let on step by step."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.breaker import (
    COUNTED,
    LONGEST_PAUSE_MS,
    PAUSE_MS,
    SHARE_MS,
    STRIKES,
    WINDOW_MS,
    after_failure,
    after_success,
    is_past,
    limit,
)
from engine.model import Breaker, Failure
from tests.dispatch.samples import NOW

FRESH = Breaker("claude:opus")


def failed(breaker: Breaker, times: int, at: int = NOW, failure: Failure = Failure.OVERLOADED) -> Breaker:
    for _ in range(times):
        breaker = after_failure(breaker, failure, at, jitter=0)
    return breaker


def test_four_failures_limit_nothing_and_the_fifth_pauses() -> None:
    assert limit(failed(FRESH, STRIKES - 1), NOW) is None
    paused = failed(FRESH, STRIKES)
    assert limit(paused, NOW) == 0
    assert paused.until == NOW + PAUSE_MS


@pytest.mark.parametrize("failure", sorted(set(Failure) - COUNTED))
def test_what_is_the_jobs_own_fault_does_not_count(failure: Failure) -> None:
    assert failed(FRESH, 20, failure=failure) == FRESH


def test_classes_are_counted_apart_and_what_is_older_than_an_hour_not_at_all() -> None:
    mixed = failed(failed(FRESH, STRIKES - 1), 1, failure=Failure.AUTH)
    assert limit(mixed, NOW) is None
    assert limit(failed(mixed, 1), NOW) == 0, "what came between has not wiped out the first four"
    old = failed(FRESH, STRIKES - 1, NOW - WINDOW_MS)
    assert limit(failed(old, 1), NOW) is None


def test_after_the_pause_one_goes_first_and_each_success_doubles() -> None:
    one = failed(FRESH, STRIKES)
    later = NOW + PAUSE_MS
    steps = []
    while (allowed := limit(one, later)) is not None:
        steps.append(allowed)
        one = after_success(one, later)
    assert steps == [1, 2, 4, 8]
    assert one == FRESH


def test_a_failure_on_the_way_pauses_for_twice_as_long_up_to_a_bound() -> None:
    one, at, pauses = failed(FRESH, STRIKES), NOW, []
    for _ in range(8):
        assert one.until is not None
        pauses.append(one.until - at)
        at = one.until
        one = failed(one, 1, at)
    assert pauses[:3] == [PAUSE_MS, 2 * PAUSE_MS, 4 * PAUSE_MS]
    assert pauses[-1] == LONGEST_PAUSE_MS


def test_what_had_begun_before_the_pause_neither_ends_nor_lengthens_it() -> None:
    one = failed(FRESH, STRIKES)
    assert failed(one, 3, NOW + 5).until == one.until
    assert after_success(one, NOW + 5) == one


def test_a_success_in_between_begins_the_count_anew() -> None:
    one = after_success(failed(FRESH, STRIKES - 1), NOW + SHARE_MS)
    assert limit(failed(one, STRIKES - 1, NOW + SHARE_MS), NOW + SHARE_MS) is None
    assert limit(failed(one, STRIKES, NOW + SHARE_MS), NOW + SHARE_MS) == 0


def test_what_fails_half_of_the_time_within_a_minute_is_paused_though_never_five_times_in_a_row() -> None:
    one = FRESH
    for step in range(2):
        one = after_success(failed(one, 1, NOW + step), NOW + step)
    assert limit(one, NOW) is None, "two of four are too few to tell"
    assert limit(failed(one, 1, NOW + 2), NOW + 2) == 0


def test_the_same_share_over_a_longer_time_pauses_nothing() -> None:
    one = FRESH
    for step in range(20):
        at = NOW + step * SHARE_MS
        one = after_success(failed(one, 1, at), at)
        assert limit(one, at) is None


_ENDS = st.lists(st.tuples(st.sampled_from([None, *sorted(Failure)]), st.integers(0, 90_000)), min_size=1, max_size=60)


@given(_ENDS)
def test_any_order_of_ends_keeps_the_promises(ends: list[tuple[Failure | None, int]]) -> None:
    one, at = FRESH, NOW
    row: list[Failure] = []
    """Failures that count, since the last success."""
    minute: list[tuple[int, Failure | None]] = []
    for how, later in ends:
        at += later
        before, was = one, limit(one, at)
        one = after_success(one, at) if how is None else after_failure(one, how, at, jitter=0)
        now = limit(one, at)
        if how is not None and how not in COUNTED:
            assert one == before, "a fault of the job"
            continue
        minute = [end for end in minute if end[0] > at - SHARE_MS]
        minute.append((at, how))
        minute = [] if one == FRESH else minute  # successes before the first failure are not remembered
        row = [] if how is None else [*row, how]
        if was == 0:
            assert one.until == before.until, "nothing ends a pause or lengthens it but its time"
        elif now == 0:
            assert how in COUNTED
            assert one.until is not None
            assert PAUSE_MS <= one.until - at <= LONGEST_PAUSE_MS
            often = len(minute) >= STRIKES and sum(end[1] is how for end in minute) * 2 >= len(minute)
            assert before.opened or row.count(how) >= STRIKES or often
            assert limit(one, one.until) == 1, "then one attempt tries it"
    for _ in range(5):
        at = max(at, one.until or 0) + SHARE_MS
        one = after_success(one, at)
    assert one == FRESH, "what goes well again is as good as any other"
    assert is_past(one, at)


def test_a_pause_from_before_the_clock_was_set_back_pauses_nothing() -> None:
    paused = failed(FRESH, STRIKES, NOW + 7_200_000)
    assert is_past(paused, NOW) and limit(paused, NOW) == 1, "one goes first, as after any pause"
    again = after_failure(paused, Failure.OVERLOADED, NOW, jitter=0)
    assert again.until == NOW + 2 * PAUSE_MS and again.strikes == (NOW,)
