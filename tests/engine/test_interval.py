"""Intervals against figures that can be looked up, and against what they promise."""

from __future__ import annotations

import math
import random
import statistics

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.interval import SCALE, logarithm, share, student, typical


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (50, 100, 0.4038, 0.5962),
        (1, 1, 0.2065, 1),
    ],
)
def test_a_share_has_the_interval_of_wilson(count: int, of: int, low: float, high: float) -> None:
    found = share(count, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_no_sample_says_nothing() -> None:
    assert (share(0, 0).low, share(0, 0).high) == (0, 1)
    assert typical(0, 0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_lies_in_its_interval_and_more_samples_make_it_narrower(sample: tuple[int, int]) -> None:
    count, of = sample
    one, more = share(count, of), share(count * 4, of * 4)
    assert 0 <= one.low <= one.value + 1e-9
    assert one.value - 1e-9 <= one.high <= 1
    assert more.high - more.low < one.high - one.low


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (10, 2.228), (30, 2.042), (60, 2.000), (120, 1.980)])
def test_student_is_that_of_the_tables(freedom: int, t: float) -> None:
    assert student(freedom) == pytest.approx(t, abs=5e-4)


@given(st.lists(st.integers(1_000, 10**9), min_size=2, max_size=60))
def test_the_sums_tell_what_the_samples_do(values: list[int]) -> None:
    logs = [logarithm(value) for value in values]
    found = typical(len(values), sum(logs), sum(log * log for log in logs))
    assert found is not None and found.low is not None and found.high is not None
    exact = [math.log1p(value) for value in values]
    mean, half = statistics.mean(exact), student(len(values) - 1) * statistics.stdev(exact) / math.sqrt(len(values))
    assert found.value == pytest.approx(math.expm1(mean), rel=1e-3, abs=1)
    assert math.log1p(found.low) == pytest.approx(max(0.0, mean - half), rel=1e-3, abs=5e-3 + 1 / (1 + found.low))
    assert math.log1p(found.high) == pytest.approx(min(40.0, mean + half), rel=1e-3, abs=5e-3)


@given(st.lists(st.integers(0, 10**12), max_size=30), st.randoms())
def test_sums_can_be_taken_away_again_in_any_order(values: list[int], chance: random.Random) -> None:
    logs = [logarithm(value) for value in values]
    shuffled = logs[:]
    chance.shuffle(shuffled)
    assert sum(logs) - sum(shuffled) == 0
    assert all(isinstance(log, int) for log in logs)
    assert logarithm(-5) == 0
    assert logarithm(1) == round(math.log(2) * SCALE)


def test_nineteen_of_twenty_intervals_hold_the_median() -> None:
    """Of 2,000 samples of 12 from a log-normal distribution with the median 60,000."""
    chance = random.Random(5)
    held = 0
    for _ in range(2_000):
        logs = [logarithm(round(60_000 * math.exp(chance.gauss(0, 0.8)))) for _ in range(12)]
        found = typical(len(logs), sum(logs), sum(log * log for log in logs))
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 60_000 <= found.high
    assert 0.935 <= held / 2_000 <= 0.965
