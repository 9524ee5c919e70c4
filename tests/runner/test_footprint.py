"""What one more attempt will take: learnt from those before it, and never so that nothing can start any more."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from engine.runner.footprint import Running, estimate, outlook

MIB = 1 << 20


def test_before_anything_was_measured_the_adapter_says_what_it_takes() -> None:
    assert estimate([], 300 * MIB) == 300 * MIB


def test_the_estimate_is_the_largest_of_a_few_and_leaves_a_rare_one_out_of_many() -> None:
    assert estimate([5, 1, 9], 300) == 9
    assert estimate([*range(1, 20), 10_000], 300) == 18


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=40))
def test_nine_of_ten_held_no_more(peaks: list[int]) -> None:
    found = estimate(peaks, 0)
    assert found in peaks
    assert sum(one <= found for one in peaks) >= 0.9 * len(peaks)


def test_what_the_running_ones_are_still_to_take_is_not_free() -> None:
    expected = {"claude": 300, "shell": 8}
    running = [Running("claude"), Running("claude", 100), Running("claude", 900), Running("shell", 3)]
    assert outlook(10_000, expected, expected, running).free == 10_000 - 300 - 200 - 0 - 5


def test_with_nothing_running_a_large_one_does_not_keep_its_agent_from_starting() -> None:
    expected, unmeasured = {"shell": 8_000}, {"shell": 8}
    assert outlook(5_000, expected, unmeasured, []).of("shell") == 5_000
    assert outlook(5_000, expected, unmeasured, [Running("shell", 1)]).of("shell") == 8_000
    assert outlook(9_000, expected, unmeasured, []).of("shell") == 8_000


def test_with_less_than_the_reserve_nothing_starts() -> None:
    assert outlook(-1, {"shell": 8_000}, {"shell": 8}, []).of("shell") == 8
