"""The breaker of a target: five strikes of one class pause it, one attempt tries it, then it is let on step by step."""

from __future__ import annotations

import pytest

from engine.dispatch.breaker import (
    HEEDED,
    LONGEST_PAUSE_MS,
    PAUSE_MS,
    STRIKES,
    WINDOW_MS,
    after_failure,
    after_success,
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


@pytest.mark.parametrize("failure", sorted(set(Failure) - HEEDED))
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


def test_after_a_limit_one_goes_first_without_a_pause_and_each_success_doubles() -> None:
    one = failed(FRESH, 1, failure=Failure.RATE_LIMITED)
    steps = []
    while (allowed := limit(one, NOW)) is not None:
        steps.append(allowed)
        one = after_success(one, NOW)
    assert (steps, one) == ([1, 2, 4, 8], FRESH)


def test_a_failure_after_a_limit_is_the_first_of_five() -> None:
    one = failed(failed(FRESH, 1, failure=Failure.RATE_LIMITED), STRIKES - 1)
    assert limit(one, NOW) == 1
    assert limit(failed(one, 1), NOW) == 0


def test_a_limit_does_not_end_a_pause() -> None:
    paused = failed(FRESH, STRIKES)
    assert failed(paused, 1, failure=Failure.RATE_LIMITED) == paused
