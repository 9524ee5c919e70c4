"""One table of states, and nothing beside it."""

from __future__ import annotations

import typing

import pytest

from engine import events as log
from engine.model import UNFINISHED, State
from engine.transitions import REMARKS, RESTORABLE, TRANSITIONS, IllegalTransitionError, next_state
from tests.engine.test_events import EXAMPLES

BODIES: tuple[type[log.Body], ...] = typing.get_args(log.AnyBody)
PAIRS = [(state, body) for state in (None, *State) for body in EXAMPLES]


@pytest.mark.parametrize(("state", "body"), PAIRS, ids=lambda one: str(one) if one is None else type(one).__name__)
def test_an_event_moves_a_job_as_the_table_says_or_is_refused(state: State | None, body: log.AnyBody) -> None:
    kind = type(body)
    if isinstance(body, log.Restored) and state is not None and body.to.state in RESTORABLE[state]:
        assert next_state(state, body) is body.to.state
    elif (state, kind) in TRANSITIONS:
        assert next_state(state, body) is TRANSITIONS[state, kind]
    elif state in REMARKS.get(kind, ()):
        assert next_state(state, body) is state
    else:
        with pytest.raises(IllegalTransitionError) as refused:
            next_state(state, body)
        assert str(refused.value) == f"a {state or 'new'} job cannot be {kind.__struct_config__.tag}"


def test_an_event_is_a_move_or_a_remark_and_never_both() -> None:
    assert not {kind for _, kind in TRANSITIONS} & set(REMARKS)


def test_every_event_of_a_job_has_a_row() -> None:
    of_the_engine = {
        log.LimitSeen, log.EngineStarted, log.EngineStopped, log.CapSet, log.Draining, log.BreakerMoved, log.Pruned,
        log.RuleKept, log.RuleProposed, log.RuleDropped, log.RaceBegun, log.RaceMoved, log.ScheduleSet,
        log.ScheduleMissed, log.Notified, log.BudgetAllowed, log.BudgetStopped, log.Drifted, log.WorkerSet,
        log.PipelineEntered, log.PipelineMoved, log.StepMoved, log.TokenAdded, log.TokenRevoked, log.Audited,
        log.ClockSet,
    }  # fmt: skip
    assert {kind for _, kind in TRANSITIONS} | set(REMARKS) | {log.Restored} == set(BODIES) - of_the_engine


def test_what_has_run_is_never_restored_to_before_it_ran() -> None:
    assert RESTORABLE[State.RUNNING] == {State.RUNNING}
    for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        assert State.RUNNING not in RESTORABLE[state]
    assert set(RESTORABLE) == set(State)


def test_every_ended_job_can_be_retried_and_every_live_one_ends() -> None:
    for state in set(State) - UNFINISHED:
        assert next_state(state, log.Retried("me")) is State.READY
    reached: set[State | None] = {None}
    while more := {to for (start, _), to in TRANSITIONS.items() if start in reached} - reached:
        reached |= more
    assert reached - {None} == set(State)
