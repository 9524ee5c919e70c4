"""What is believed of a window: any order of readings, any clock, and never a wait beyond its bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec.structs import replace

from engine.dispatch import windows
from engine.dispatch.windows import (
    DAY,
    HOUR,
    LATE,
    LONGEST_PAUSE,
    MINUTE,
    SECOND,
    SKEW,
    STEP,
    closed_until,
    is_closed,
    limit,
    margin,
    observe,
    pause,
    standing,
    trust,
    used,
)
from engine.window import UNNAMED, Reading, Standing, Window
from tests.dispatch.samples import NOW

ACCOUNT = "claude@work"
NAMES = ["five_hour", "seven_day", "seven_day_opus", "requests", "tokens", "requests_per_day", UNNAMED, "300_minutes"]


def reading(standing: Standing = Standing.OPEN, at: int = NOW, window: str = "five_hour", **more: object) -> Reading:
    return Reading(window=window, standing=standing, at=at, source="it", **more)  # type: ignore[arg-type]


def closed(at: int = NOW, resets_at: int | None = NOW + HOUR, window: str = "five_hour", **more: object) -> Reading:
    return reading(Standing.CLOSED, at, window, resets_at=resets_at, **more)


def seen(*readings: Reading, now: int | None = None, jitter: float = 0.0) -> Window:
    """The window after readings in this order, each seen as it was read."""
    window = None
    for one in readings:
        window = observe(window, ACCOUNT, one, one.at if now is None else now, jitter)
    assert window is not None
    return window


# A window as it lives.


def test_it_is_open_then_warns_then_is_closed_until_its_reset_then_is_probed_by_one() -> None:
    window = seen(reading(used=0.2), reading(Standing.WARNING, NOW + 1, used=0.9))
    assert (standing(window, NOW + 2), used(window, NOW + 2), limit(window, NOW + 2)) == (Standing.WARNING, 0.9, None)
    window = observe(window, ACCOUNT, closed(NOW + 2, used=1.0), NOW + 2, 0.0)
    assert (standing(window, NOW + 3), used(window, NOW + 3), limit(window, NOW + 3)) == (Standing.CLOSED, 1.0, 0)
    later = NOW + HOUR
    assert (standing(window, later), used(window, later), limit(window, later)) == (Standing.UNKNOWN, None, 1)


def test_each_sign_that_it_serves_lets_twice_as_many_go_but_not_faster_than_a_step() -> None:
    window, at = seen(closed()), NOW + HOUR
    steps = []
    while (allowed := limit(window, at)) is not None:
        steps.append(allowed)
        window = observe(window, ACCOUNT, reading(at=at), at, 0.0)
        crowd = observe(window, ACCOUNT, reading(at=at + 1), at + 1, 0.0)
        assert limit(crowd, at + 1) == limit(window, at + 1), "what comes at once is one sign"
        at += STEP
    assert steps == [1, 2, 4, 8]


def test_a_success_counts_only_for_what_began_after_the_end() -> None:
    window, at = seen(closed()), NOW + HOUR
    assert windows.succeeded(window, NOW - 5, at) == window
    assert windows.succeeded(window, at, NOW + 5) == window
    assert limit(windows.succeeded(window, at, at + 5), at + 5) == 2


def test_a_probe_that_finds_it_closed_makes_the_next_one_wait_for_twice_as_long() -> None:
    window, at, waits = seen(closed(resets_at=None)), NOW, []
    for _ in range(9):
        assert window.until is not None
        waits.append(window.until - at)
        at = window.until
        window = observe(window, ACCOUNT, closed(at, None), at, 0.0)
    assert waits[:4] == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    assert waits[-1] == LONGEST_PAUSE
    at = window.until or 0
    window = observe(window, ACCOUNT, reading(at=at), at, 0.0)
    assert window.closures == 0, "it serves again"


def test_an_end_that_is_told_too_early_again_and_again_is_not_run_into_each_second() -> None:
    window, at, waits = seen(closed(resets_at=NOW + SECOND)), NOW, []
    for _ in range(4):
        assert window.until is not None
        waits.append(window.until - at)
        at = window.until
        window = observe(window, ACCOUNT, closed(at, at + SECOND), at, 0.0)
    assert waits == [SECOND, MINUTE, 2 * MINUTE, 4 * MINUTE]


def test_the_many_that_meet_one_closing_are_one_closing() -> None:
    one = seen(closed())
    many = seen(closed(), closed(NOW + 5, NOW + HOUR + 900), closed(NOW + 7, None))
    assert (many.until, many.closures, many.allowed) == (one.until, 0, 1)


def test_an_answer_that_was_on_its_way_does_not_open_it_and_one_long_after_does() -> None:
    window = seen(closed(), reading(at=NOW + 1_000, used=0.99))
    assert limit(window, NOW + 1_001) == 0
    window = observe(window, ACCOUNT, reading(at=NOW + LATE, used=0.0), NOW + LATE, 0.0)
    assert limit(window, NOW + LATE + 1) == 1, "one finds out whether that is so"


def test_an_answer_from_the_next_period_opens_it_at_once() -> None:
    window = seen(closed(), reading(at=NOW + 1_000, resets_at=NOW + 5 * HOUR))
    assert limit(window, NOW + 1_001) == 1


def test_what_is_used_beyond_a_window_closes_nothing() -> None:
    window = seen(closed(window="overage"))
    assert limit(window, NOW + 1) is None


# Whose window it is.


@pytest.mark.parametrize(
    ("model", "met", "asked", "applies"),
    [
        ("", (), None, True),
        ("opus", (), "opus", True),
        ("opus", (), "claude-opus-4-8", True),
        ("claude-opus-4-8", (), "opus", True),
        ("opus", (), "sonnet", False),
        ("opus", (), None, False),
        ("opus", ("",), None, True),
        ("openai/gpt-5", (), "openai/gpt-4o", False),
    ],
)
def test_a_window_of_some_models_is_met_by_these(
    model: str, met: tuple[str, ...], asked: str | None, applies: bool
) -> None:
    window = Window(account=ACCOUNT, name="seven_day_opus", model=model, met=met)
    assert windows.applies(window, asked) is applies


def test_the_last_end_of_several_counts() -> None:
    five, seven = seen(closed()), seen(closed(resets_at=NOW + DAY, window="seven_day"))
    opus = seen(closed(resets_at=NOW + 2 * DAY, window="seven_day_opus", model="opus"))
    assert closed_until([five, seven, opus], "sonnet", NOW + 1) == NOW + DAY
    assert closed_until([five, seven, opus], "opus", NOW + 1) == NOW + 2 * DAY
    assert closed_until([five], None, NOW + HOUR) is None


# Clocks and ends that are wrong.


@pytest.mark.parametrize(
    ("told", "until"),
    [
        ((NOW + HOUR) // 1_000, NOW // 1_000 * 1_000 + HOUR),
        (NOW - HOUR, NOW + MINUTE),
        (NOW - SECOND, NOW + SECOND),
        (-5, NOW + MINUTE),
        (0, NOW + MINUTE),
        (NOW + 365 * DAY, NOW + MINUTE),
        (NOW * 1_000, NOW + MINUTE),
        (NOW + 6 * HOUR, NOW + MINUTE),
        (NOW + 5 * HOUR + 5 * MINUTE, NOW + 5 * HOUR + 5 * MINUTE),
    ],
    ids=["seconds", "past", "just over", "negative", "zero", "a year", "microseconds", "too long", "a little too long"],
)
def test_an_absurd_end_is_found_out_by_probing(told: int, until: int) -> None:
    assert seen(closed(resets_at=told)).until == until


def test_a_span_is_told_by_our_own_clock_and_comes_before_a_moment() -> None:
    assert seen(closed(resets_at=NOW + 20 * DAY, resets_in=90_000)).until == NOW + 90_000


def test_a_long_retry_after_is_kept() -> None:
    assert seen(closed(resets_at=NOW + 7_999_000, window=UNNAMED)).until == NOW + 7_999_000


def test_a_clock_that_is_set_back_does_not_add_to_the_wait() -> None:
    window = seen(closed(resets_at=NOW + 6 * DAY, window="seven_day"))
    before = NOW - 5 * DAY
    assert limit(window, before) == 1, "it was read in a time that has not come yet: one finds out"
    window = observe(window, ACCOUNT, closed(before, before + HOUR, "seven_day"), before, 0.0)
    assert window.until == before + HOUR, "and what it finds out counts, though it is older by its stamp"
    assert limit(window, before + 1) == 0


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("day", ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"])
def test_a_change_of_the_clock_at_the_place_moves_no_end(zone: str, day: str) -> None:
    """Ends are moments. Told as a wall clock with its zone, they are the same moment before and after a change."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    begun = round(midnight.timestamp() * 1_000)
    end = (midnight.astimezone(UTC) + timedelta(hours=5)).astimezone(ZoneInfo(zone))
    window = seen(closed(begun, round(end.timestamp() * 1_000)))
    assert window.until == begun + 5 * HOUR


# Whatever comes.

_MOMENTS = st.integers(-(10**19), 10**19) | st.integers(NOW - 40 * DAY, NOW + 40 * DAY)
_READINGS = st.builds(
    Reading,
    window=st.sampled_from(NAMES),
    standing=st.sampled_from(Standing),
    at=_MOMENTS,
    source=st.just("it"),
    used=st.none() | st.floats(),
    resets_at=st.none() | _MOMENTS,
    resets_in=st.none() | st.integers(-(10**19), 10**19),
    length=st.none() | st.integers(-5, 10**19),
    model=st.sampled_from(["", "opus"]),
    asked=st.sampled_from([None, "", "opus"]),
)


@given(st.sampled_from(NAMES), st.lists(st.tuples(_READINGS, st.integers(-3 * DAY, 9 * DAY)), min_size=1, max_size=12),
       st.floats(0, 1))  # fmt: skip
def test_no_reading_makes_it_wait_beyond_its_bound(name: str, told: list[tuple[Reading, int]], jitter: float) -> None:
    """At any moment, by any clock: what is closed ends within the window's own length of what was seen last."""
    window, now = None, NOW
    for one, later in told:
        now = max(1, now + later)
        window = observe(window, ACCOUNT, replace(one, window=name), now, jitter)
        length = window.length
        most = trust(name, length, window.closures) + 30 * SECOND + SECOND
        if length is not None:
            assert most <= length + margin(length) + 31 * SECOND
        else:
            assert most <= 7 * DAY + MINUTE
        if is_closed(window, now):
            assert window.until is not None and window.closed is not None
            assert window.until - window.closed.at <= most
            assert window.until - now <= most + SKEW
            assert not is_closed(window, now + most + SKEW), "from there on one may go"
            assert limit(window, now + most + SKEW) != 0
        else:
            assert limit(window, now) is None or (limit(window, now) or 0) >= 1
        share = used(window, now)
        assert share is None or 0.0 <= share <= 1.0
        assert standing(window, now) in Standing


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40 * MINUTE), st.integers(0, 100)), min_size=1, max_size=5))
def test_readings_mean_the_same_in_any_order_and_as_often_as_they_come(told: list[tuple[bool, int, int]]) -> None:
    """Of one period, whose end all agree on."""
    end, now = NOW + 4 * HOUR, NOW + HOUR
    readings = [
        reading(Standing.CLOSED if shut else Standing.OPEN, NOW + at, used=share / 100, resets_at=end)
        for shut, at, share in told
    ]
    facts = set()
    for order in permutations(readings):
        window = seen(*order, *order[:2], now=now)
        facts.add((standing(window, now), used(window, now), is_closed(window, now)))
    assert len(facts) == 1


@given(st.integers(-2 * DAY, 2 * DAY), st.integers(1, 5 * HOUR))
def test_whatever_the_clocks_differ_by_it_is_over_within_the_windows_length(skew: int, real: int) -> None:
    """The provider's clock differs from ours; a canary goes at each end, and is refused until the real reset."""
    window, at, probes = seen(closed(resets_at=NOW + real + skew)), NOW, 0
    while (at := window.until or 0) < NOW + real:
        probes += 1
        window = observe(window, ACCOUNT, closed(at, NOW + real + skew), at, 0.0)
    assert at <= NOW + 5 * HOUR + margin(5 * HOUR)
    assert probes <= 16


@given(st.sampled_from(NAMES), st.integers(0, 60))
def test_a_pause_is_never_nothing_and_never_longer_than_a_known_window(name: str, closures: int) -> None:
    length = windows.length_of(name)
    assert 5 * SECOND <= pause(name, length, closures) <= max(MINUTE, length or LONGEST_PAUSE)
