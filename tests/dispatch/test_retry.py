"""One table from failure to what follows: limits use up nothing, effects are not repeated blindly, unknown stops."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.retry import (
    MOST_WAITS,
    RULES,
    SHORT_FIRST,
    SHORT_LONGEST,
    Action,
    Case,
    Next,
    decide,
    leave,
    postpone,
)
from engine.model import Failure
from engine.model.route import CAUSES
from tests.dispatch.samples import NOW

CASE = Case(
    Failure.CRASHED, tries=1, waits=0, max_attempts=3, began=True, resumable=True, restorable=False, repeatable=False
)
WAITS = [Failure.RATE_LIMITED, Failure.OVERLOADED]
RESUMES = [Failure.STALLED, Failure.CRASHED, Failure.ENGINE_LOST]
FRESH = [Failure.CONTEXT_OVERFLOW, Failure.CONTEXT_LOST]
ASKS = [Failure.AUTH, Failure.BILLING]
REPEATS = [Failure.TIMEOUT, Failure.BAD_OUTPUT, Failure.UNKNOWN]
STOPS = sorted(set(Failure) - {*WAITS, *RESUMES, *FRESH, *ASKS})


def after(failure: Failure, **fields: object) -> Next:
    return decide(replace(CASE, failure=failure, **fields), NOW, 0.5)  # type: ignore[arg-type]


def test_every_class_has_a_rule() -> None:
    assert set(RULES) == set(Failure)


@pytest.mark.parametrize("failure", WAITS)
def test_a_limit_does_not_use_up_attempts(failure: Failure) -> None:
    found = after(failure, tries=99)
    assert (found.action, found.counted) == (Action.WAIT, False)
    assert found.at is not None
    assert after(failure, waits=MOST_WAITS) == Next(Action.ASK, counted=False, why=f"after {MOST_WAITS} waits")


@pytest.mark.parametrize("failure", RESUMES)
def test_what_broke_off_goes_on_where_it_was(failure: Failure) -> None:
    found = after(failure)
    assert (found.action, found.counted, found.fresh, found.anew) == (Action.RESUME, True, False, False)
    assert after(failure, tries=3).action is Action.STOP


@pytest.mark.parametrize("failure", FRESH)
def test_a_conversation_that_is_full_or_lost_begins_anew_in_its_place(failure: Failure) -> None:
    found = after(failure)
    assert (found.action, found.fresh, found.anew) == (Action.FRESH, True, False)


@pytest.mark.parametrize("failure", ASKS)
def test_what_only_a_person_can_mend_is_held(failure: Failure) -> None:
    found = after(failure, tries=99)
    assert (found.action, found.counted) == (Action.ASK, False), "and it uses up no attempt"


@pytest.mark.parametrize("failure", [*WAITS, *RESUMES, Failure.TIMEOUT, Failure.BAD_OUTPUT])
def test_what_has_no_effects_is_asked_again_without_asking_the_operator(failure: Failure) -> None:
    assert after(failure, resumable=False, harmless=False).action in (Action.ASK, Action.STOP)
    found = after(failure, resumable=False, harmless=True)
    assert found.action not in (Action.ASK, Action.STOP)
    assert (found.fresh, found.anew) == (True, False)


@pytest.mark.parametrize("failure", [Failure.UNKNOWN, Failure.CONTEXT_OVERFLOW, Failure.SPAWN_FAILED])
def test_without_effects_what_would_fail_again_still_stops(failure: Failure) -> None:
    assert after(failure, resumable=False, harmless=True).action is Action.STOP


@pytest.mark.parametrize("failure", STOPS)
def test_all_else_stops(failure: Failure) -> None:
    assert after(failure).action is Action.STOP


@pytest.mark.parametrize("failure", REPEATS)
def test_a_job_that_may_be_repeated_is_run_again(failure: Failure) -> None:
    found = after(failure, repeatable=True, resumable=False)
    assert (found.action, found.fresh) == (Action.RESUME, True)
    assert after(failure, repeatable=True, tries=3).action is Action.STOP


@pytest.mark.parametrize("failure", [*WAITS, *RESUMES])
def test_what_may_have_had_effects_is_set_back_or_asked_about(failure: Failure) -> None:
    back = after(failure, resumable=False, restorable=True)
    assert (back.fresh, back.anew) == (True, True)
    assert after(failure, resumable=False).action is Action.ASK
    assert after(failure, resumable=False, began=False).action is not Action.ASK, "what never ran had none"


def test_the_providers_own_reset_is_waited_for_and_a_little_longer() -> None:
    found = after(Failure.RATE_LIMITED, retry_at=NOW + 3_600_000)
    assert found.at is not None
    assert 0 <= found.at - (NOW + 3_600_000) <= 60_000
    past = after(Failure.RATE_LIMITED, retry_at=NOW - 1)
    assert past.at is not None
    assert past.at <= NOW + 60_000


@given(st.sampled_from(sorted(Failure)), st.integers(1, 40), st.integers(0, MOST_WAITS - 1), st.floats(0, 1))
def test_delays_double_up_to_a_bound_with_full_jitter(failure: Failure, tries: int, waits: int, jitter: float) -> None:
    found = decide(replace(CASE, failure=failure, tries=tries, waits=waits, max_attempts=100), NOW, jitter)
    if found.at is None:
        return
    rule = RULES[failure]
    step = tries - 1 if found.counted else waits
    whole = min(rule.longest, rule.first * 2 ** min(step, 20)) * 1_000
    assert 0 <= found.at - NOW <= whole + 1
    assert abs(found.at - NOW - whole * jitter) <= 1


def test_what_the_machine_is_short_of_is_waited_for_longer_and_longer_and_then_shown() -> None:
    found = [postpone(waits, NOW) for waits in range(MOST_WAITS)]
    assert {(one.action, one.counted) for one in found} == {(Action.WAIT, False)}
    delays = [((one.at or 0) - NOW) / 1000 for one in found]
    assert (delays, delays[0], delays[-1]) == (sorted(delays), SHORT_FIRST, SHORT_LONGEST)
    assert postpone(MOST_WAITS, NOW).action is Action.ASK


# At another target


@pytest.mark.parametrize("failure", sorted(set(CAUSES)))
def test_what_says_nothing_of_the_job_uses_up_no_attempt_when_it_goes_elsewhere(failure: Failure) -> None:
    own = failure in (Failure.CONTEXT_OVERFLOW, Failure.BAD_OUTPUT, Failure.GATE_REFUSED)
    found = leave(replace(CASE, failure=failure), told=True)
    assert (found.action, found.counted, found.at, found.anew) == (Action.RESUME, own, None, False)
    last = leave(replace(CASE, failure=failure, tries=3), told=True)
    assert (last.action is Action.STOP) is own
    assert leave(replace(CASE, failure=failure, waits=MOST_WAITS), told=True).action is (
        Action.RESUME if own else Action.ASK
    )


def test_effects_that_nobody_is_told_of_are_set_back_or_looked_at() -> None:
    crashed = replace(CASE, failure=Failure.OVERLOADED, resumable=False)
    assert leave(crashed, told=True).anew is False
    assert leave(replace(crashed, restorable=True), told=False).anew is True
    assert leave(replace(crashed, restorable=False), told=False).action is Action.ASK
    assert leave(replace(crashed, restorable=False, began=False), told=False).action is Action.RESUME


@pytest.mark.parametrize("failure", sorted(set(CAUSES)))
def test_a_route_that_stays_tries_again_what_would_else_be_given_up(failure: Failure) -> None:
    found = after(failure, stays=True)
    assert found.action not in (Action.STOP, Action.ASK)
    assert found.counted is (failure in (Failure.CONTEXT_OVERFLOW, Failure.BAD_OUTPUT, Failure.GATE_REFUSED))
