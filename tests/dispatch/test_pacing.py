"""Background work keeps from the wall: it never starts past its line, and urgent work is never kept back."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.pacing import NEAR, UNPACED, Mode, Pacing, wait
from engine.dispatch.windows import HOUR, observe
from engine.window import Reading, Standing, Window
from tests.dispatch.samples import NOW

RESERVE = Pacing(Mode.RESERVE, 0.2, 6)
EVEN = Pacing(Mode.EVEN, background=4)
LENGTH = 5 * HOUR


def window(share: float | None, *, over: float = 0.5, name: str = "five_hour", at: int = NOW) -> Window:
    """A window of which that share is used, and that part of its time is over."""
    end = at + round((1 - over) * LENGTH)
    told = Reading(window=name, standing=Standing.OPEN, at=at, source="it", used=share, resets_at=end)
    return observe(None, "claude", told, at, 0.0)


def may(pacing: Pacing, one: Window, running: int = 0, now: int = NOW) -> bool:
    return wait(pacing, [one], None, now, running) is None


def test_a_reserve_stops_background_work_at_its_line_until_the_reset() -> None:
    assert may(RESERVE, window(0.74), running=3)
    assert may(RESERVE, window(0.79)) and not may(RESERVE, window(0.79), running=1), "near it, one at a time"
    kept = wait(RESERVE, [window(0.8)], None, NOW, 0)
    assert kept is not None and (kept.used, kept.until) == (0.8, NOW + LENGTH // 2)
    assert may(RESERVE, window(0.8), now=NOW + LENGTH // 2), "the next period has a reserve of its own"


def test_even_pacing_waits_until_the_time_has_come_up_with_what_is_used() -> None:
    assert may(EVEN, window(0.4, over=0.5), running=3)
    kept = wait(EVEN, [window(0.6, over=0.5)], None, NOW, 0)
    assert kept is not None and kept.until is not None
    assert abs(kept.until - (NOW + LENGTH // 10)) <= 1
    assert may(EVEN, window(0.6, over=0.5), now=kept.until)


def test_only_background_work_is_paced_and_only_where_something_is_known() -> None:
    assert [RESERVE.paces(priority) for priority in (0, 5, 6, 9)] == [False, False, True, True]
    assert [EVEN.paces(priority) for priority in (3, 4)] == [False, True]
    assert not UNPACED.paces(9)
    assert may(RESERVE, window(None))
    assert may(RESERVE, window(0.95, name="requests")), "a window of minutes"


@pytest.mark.parametrize("pacing", [RESERVE, EVEN], ids=["reserve", "even"])
@given(share=st.floats(0, 1), over=st.floats(0.001, 0.999), later=st.integers(0, LENGTH), running=st.integers(0, 3))
def test_it_says_when_it_ends_and_keeps_to_that(
    pacing: Pacing, share: float, over: float, later: int, running: int
) -> None:
    one, now = window(share, over=over), NOW + later
    kept = wait(pacing, [one], None, now, running)
    if kept is not None and kept.until is not None:
        assert now < kept.until <= NOW + LENGTH
        assert may(pacing, one, now=kept.until), "then one may go"


@pytest.mark.parametrize("pacing", [RESERVE, EVEN], ids=["reserve", "even"])
@given(seed=st.integers(0, 10_000), slots=st.integers(1, 8), most=st.floats(0.001, NEAR / 8))
def test_background_work_never_starts_past_its_line_nor_uses_more_than_one_attempt_beyond_it(
    pacing: Pacing, seed: int, slots: int, most: float
) -> None:
    """A day of attempts, each of which uses at most a part of what is near, told only when it ends."""
    rng, share, running, now = random.Random(seed), 0.0, 0, NOW
    told, end = window(0.0, over=0.0), NOW + LENGTH
    for _ in range(400):
        now += rng.randrange(1, LENGTH // 300)
        if now >= end:
            break
        line = 0.8 if pacing is RESERVE else (now - NOW) / LENGTH
        if running and rng.random() < 0.5:
            running -= 1
            share += rng.random() * most
            news = Reading(window="five_hour", standing=Standing.OPEN, at=now, source="it", used=share, resets_at=end)
            told = observe(told, "claude", news, now, 0.0)
        elif running < slots and may(pacing, told, running, now):
            assert share < line
            assert not running or share <= line - NEAR
            running += 1
        assert share <= line + most or pacing is EVEN
    if pacing is RESERVE:
        assert share <= 0.8 + most
