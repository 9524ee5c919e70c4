"""What of a job's attempts was useful: work that is gone on from is, and nothing goes missing."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given

from engine.model import Failure, Grade, State
from engine.model.tax import Part
from engine.tax.split import Charge, Piece, Try, kept, pieces, waits


def attempt(number: int, session: str | None = None, **more: object) -> Try:
    at = number * 1_000
    facts = {"started_at": at + 10, "ended_at": at + 500, "charges": (Charge(at + 500, 100, 10, Grade.REPORTED),)}
    return Try(number, at, session=session, **{**facts, **more})  # type: ignore[arg-type]


def parts(tries: list[Try], state: State = State.SUCCEEDED) -> dict[Part, int]:
    """Tokens by part."""
    found: dict[Part, int] = {}
    for piece in pieces(tries, state):
        found[piece.part] = found.get(piece.part, 0) + piece.tokens
    return {part: tokens for part, tokens in found.items() if tokens}


def test_work_in_a_session_that_goes_on_is_useful() -> None:
    limited = attempt(1, "s", failure=Failure.RATE_LIMITED)
    done = attempt(2, "s", resumes="s", succeeded=True)
    assert parts([limited, done]) == {Part.USEFUL: 200}


def test_work_that_was_begun_anew_was_in_vain() -> None:
    left = attempt(1, "s", failure=Failure.CRASHED)
    assert parts([left, attempt(2, "t", succeeded=True)]) == {Part.RETRIES: 100, Part.USEFUL: 100}
    assert parts([attempt(1, None, failure=Failure.CRASHED), attempt(2, None)]) == {Part.RETRIES: 100, Part.USEFUL: 100}


def test_a_fork_goes_on_from_what_it_is_a_fork_of() -> None:
    assert parts([attempt(1, "s"), attempt(2, "t", resumes="s", succeeded=True)]) == {Part.USEFUL: 200}


def test_who_is_handed_the_state_goes_on_from_it_and_pays_for_the_telling() -> None:
    full = attempt(1, "s", failure=Failure.CONTEXT_OVERFLOW)
    told = attempt(2, "t", handed=30, succeeded=True)
    assert parts([full, told]) == {Part.USEFUL: 170, Part.HAND_OFFS: 30}
    money = [piece for piece in pieces([full, told], State.SUCCEEDED) if piece.part is Part.HAND_OFFS]
    assert [(one.cost, one.grade) for one in money] == [(3, Grade.ESTIMATED)]


def test_what_else_it_is_told_is_told_apart_and_nothing_is_counted_twice() -> None:
    told = {Part.PERSONAS: 20, Part.MEMORY: 25, Part.SKILLS: 200}
    first, second = Charge(1, 60, 6, Grade.REPORTED), Charge(2, 50, 5, Grade.REPORTED)
    one = attempt(1, "s", told=told, handed=10, charges=(first, second), succeeded=True)
    assert parts([one]) == {Part.HAND_OFFS: 10, Part.PERSONAS: 20, Part.MEMORY: 25, Part.SKILLS: 55}
    assert sum(piece.cost or 0 for piece in pieces([one], State.SUCCEEDED)) == 11
    assert parts([one], State.FAILED) == {Part.FAILED: 110}, "what came to nothing was in vain, whatever it was"


def test_a_hand_off_brings_nothing_back_that_was_set_back() -> None:
    left = attempt(1, "s", failure=Failure.CRASHED, set_back=True)
    assert parts([left, attempt(2, "t", handed=30)]) == {Part.RETRIES: 100, Part.USEFUL: 70, Part.HAND_OFFS: 30}
    earlier = attempt(1, "r", failure=Failure.CONTEXT_OVERFLOW)
    again = [earlier, replace(left, number=2, handed=10), attempt(3, "t", handed=30)]
    assert kept(again) == {3}


def test_all_of_a_job_that_came_to_nothing_was_in_vain() -> None:
    tries = [attempt(1, "s", failure=Failure.CRASHED), attempt(2, "s", resumes="s", failure=Failure.UNKNOWN)]
    assert parts(tries, State.FAILED) == {Part.FAILED: 200}
    assert parts(tries, State.CANCELLED) == {Part.CANCELLED: 200}


def test_what_is_there_for_others_is_no_work_of_its_own() -> None:
    told = [attempt(1, "s", failure=Failure.CRASHED), attempt(2, "t", handed=30, succeeded=True)]
    found = list(pieces(told, State.SUCCEEDED, Part.TRIAGE))
    assert {piece.part for piece in found} == {Part.TRIAGE}
    assert sum(piece.tokens for piece in found) == 200


def test_what_is_not_decided_is_useful_so_far() -> None:
    limited = attempt(1, "s", failure=Failure.RATE_LIMITED)
    assert parts([limited], State.READY) == {Part.USEFUL: 100}
    running = attempt(2, None, started_at=None, ended_at=None, resumes="s", charges=())
    assert parts([limited, running], State.RUNNING) == {Part.USEFUL: 100}


def test_an_attempt_that_never_ran_is_no_break_in_the_work() -> None:
    tries = [attempt(1, "s", failure=Failure.RATE_LIMITED), attempt(2, None, started_at=None, charges=())]
    assert kept([*tries, attempt(3, "s", resumes="s")]) == {1, 3}
    assert kept(tries) == {1}


def test_waiting_is_from_the_end_of_one_to_the_beginning_of_the_next() -> None:
    assert [(one.number, ms) for one, ms in waits([attempt(1), attempt(2), attempt(3)])] == [(1, 500), (2, 500)]


_CHARGES = st.lists(
    st.builds(
        Charge, st.integers(1, 9_000), st.integers(0, 500), st.none() | st.integers(0, 50), st.sampled_from(Grade)
    ),
    max_size=3,
)
_TRIES = st.lists(
    st.builds(
        Try,
        number=st.just(0),
        created_at=st.integers(0, 9_000),
        started_at=st.none() | st.integers(0, 9_000),
        ended_at=st.none() | st.integers(0, 9_000),
        failure=st.none() | st.sampled_from(Failure),
        session=st.sampled_from([None, "r", "s", "t"]),
        resumes=st.sampled_from([None, "r", "s", "t"]),
        handed=st.none() | st.integers(0, 300),
        set_back=st.booleans(),
        charges=_CHARGES,
    ),
    max_size=6,
)


@given(_TRIES, st.sampled_from(State))
def test_nothing_goes_missing_and_nothing_counts_twice(drawn: list[Try], state: State) -> None:
    tries = [replace(one, number=number) for number, one in enumerate(drawn, 1)]
    found: list[Piece] = list(pieces(tries, state))
    charges = [charge for one in tries for charge in one.charges]
    assert sum(piece.tokens for piece in found) == sum(charge.tokens for charge in charges)
    assert sum(piece.cost or 0 for piece in found) == sum(charge.cost or 0 for charge in charges)
    assert sum(piece.attempts for piece in found) == len(tries)
    assert sum(piece.ms for piece in found) == sum(one.ms for one in tries)
    assert all(piece.tokens >= 0 and (piece.cost or 0) >= 0 for piece in found)
    told = sum(piece.tokens for piece in found if piece.part is Part.HAND_OFFS)
    assert told <= sum(one.handed or 0 for one in tries)
    if state in (State.FAILED, State.CANCELLED):
        assert {piece.part for piece in found} <= {Part.FAILED, Part.CANCELLED}
