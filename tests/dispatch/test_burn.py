"""How fast a window is used up, from readings that come as they come."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.burn import HOUR_MS, SAME_MS, Reading, burns

NOW = 1_760_000_000_000
MINUTE = 60_000
RESET = NOW + 3 * HOUR_MS


def told(minutes_ago: float, used: float, resets_at: int | None = RESET, window: str = "five_hour") -> Reading:
    return Reading("claude@work", window, NOW - round(minutes_ago * MINUTE), used, resets_at)


def test_the_wall_is_where_the_share_gets_to_at_this_rate() -> None:
    (one,) = burns([told(40, 0.3), told(20, 0.4), told(0, 0.5)], NOW)
    assert one.rate == pytest.approx(0.3)
    assert one.wall == pytest.approx(NOW + 0.5 / 0.3 * HOUR_MS, abs=1)
    assert (one.used, one.since, one.why) == (0.5, NOW - 40 * MINUTE, "")


def test_who_rests_burns_slower() -> None:
    busy, rested = burns([told(40, 0.3), told(20, 0.5)], NOW - 20 * MINUTE), burns([told(40, 0.3), told(20, 0.5)], NOW)
    assert (busy[0].rate or 0) == pytest.approx(2 * (rested[0].rate or 0))


def test_only_the_last_hour_counts() -> None:
    (one,) = burns([told(170, 0.1), told(80, 0.7), told(30, 0.8)], NOW)
    assert one.rate == pytest.approx(0.1), "an hour ago it stood at 70 %"
    (idle,) = burns([told(170, 0.1), told(80, 0.7)], NOW)
    assert (idle.rate, idle.wall, idle.why) == (0, None, "nothing of it was used in this time")


def test_a_trace_of_use_is_no_wall_however_small_it_is() -> None:
    (one,) = burns([told(1, 0.0, None), told(0, 2.3e-308, None)], NOW)
    assert (one.wall, one.why) == (None, "nothing of it was used in this time")


def test_a_window_that_begins_anew_first_has_no_wall() -> None:
    (one,) = burns([told(40, 0.3), told(0, 0.35)], NOW)
    assert (one.wall, one.why) == (None, "it begins anew before that")


def test_another_period_is_no_part_of_the_rate() -> None:
    before = told(50, 0.9, NOW - 45 * MINUTE)
    (one,) = burns([before, told(40, 0.1), told(0, 0.5)], NOW)
    assert one.rate == pytest.approx(0.6)
    (fallen,) = burns([told(50, 0.9, None), told(40, 0.1, None), told(0, 0.5, None)], NOW)
    assert fallen.rate == pytest.approx(0.6), "without a reset a share that falls tells of a new period"
    (over,) = burns([told(30, 0.9, NOW - 1)], NOW)
    assert (over.used, over.rate, over.wall) == (0, None, None)


def test_one_reading_is_no_rate_and_a_full_window_is_at_its_wall() -> None:
    (one,) = burns([told(10, 0.5)], NOW)
    assert (one.rate, one.wall, one.why) == (None, None, "one reading alone is no rate")
    (full,) = burns([told(10, 0.5), told(0, 1.0)], NOW)
    assert full.wall == NOW


_READINGS = st.lists(
    st.builds(
        told,
        st.floats(-30, 300),
        st.floats(0, 1),
        st.none() | st.integers(NOW - 4 * HOUR_MS, NOW + 6 * HOUR_MS),
        st.sampled_from(["five_hour", "seven_day"]),
    ),
    max_size=12,
    unique_by=lambda one: one.at,
)


@given(_READINGS, st.randoms())
def test_whatever_was_told_the_wall_is_ahead_and_before_the_reset(readings: list[Reading], dice: object) -> None:
    found = burns(readings, NOW)
    assert {one.window for one in found} == {one.window for one in readings if one.at <= NOW}
    for one in found:
        assert 0 <= one.used <= 1
        assert one.rate is None or one.rate >= 0
        assert one.wall is None or one.wall >= NOW
        if one.wall is not None and one.resets_at is not None and one.used < 1:
            assert one.wall < one.resets_at
        assert one.wall is not None or one.why
    shuffled = list(readings)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert burns(shuffled, NOW) == found


@given(st.floats(0, 0.8), st.floats(0.01, 0.2), st.integers(2, 50), st.integers(0, SAME_MS // 2))
def test_a_steady_rate_is_found_again(begun: float, more: float, minutes: int, skew: int) -> None:
    """However the provider's own resets differ by some seconds."""
    (one,) = burns([told(minutes, begun), told(0, begun + more, RESET + skew)], NOW)
    assert one.rate == pytest.approx(more / minutes * 60)
