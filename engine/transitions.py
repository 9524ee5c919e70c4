"""The state machine of a job: one table, and the only code that changes a state.

The key is the state a job is in and the event that happens to it. What is not in the table raises.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine import events as log
from engine.errors import RefusedError
from engine.model import State

TRANSITIONS: Mapping[tuple[State | None, type[log.Body]], State] = {
    (None, log.Submitted): State.READY,
    (State.READY, log.Blocked): State.BLOCKED,
    (State.BLOCKED, log.Unblocked): State.READY,
    (State.READY, log.Claimed): State.RUNNING,
    (State.READY, log.Cancelled): State.CANCELLED,
    (State.BLOCKED, log.Cancelled): State.CANCELLED,
    (State.READY, log.Failed): State.FAILED,
    (State.BLOCKED, log.Failed): State.FAILED,
    (State.RUNNING, log.Succeeded): State.SUCCEEDED,
    (State.RUNNING, log.Failed): State.FAILED,
    (State.RUNNING, log.Cancelled): State.CANCELLED,
    (State.RUNNING, log.Requeued): State.READY,
    (State.RUNNING, log.Parked): State.READY,
    (State.RUNNING, log.Gated): State.GATING,
    (State.GATING, log.Succeeded): State.SUCCEEDED,
    (State.GATING, log.SentBack): State.READY,
    (State.GATING, log.Failed): State.FAILED,
    (State.GATING, log.Cancelled): State.CANCELLED,
    (State.SUCCEEDED, log.Retried): State.READY,
    (State.FAILED, log.Retried): State.READY,
    (State.CANCELLED, log.Retried): State.READY,
}

#: Events that tell more of a job without moving it, and the states in which they may happen.
REMARKS: Mapping[type[log.Body], frozenset[State]] = {
    log.Placed: frozenset({State.RUNNING}),
    log.Launched: frozenset({State.RUNNING}),
    log.HandedOff: frozenset({State.RUNNING}),
    log.ScheduleFired: frozenset({State.READY, State.BLOCKED}),
    log.SkillsGiven: frozenset({State.RUNNING}),
    log.SkillsUsed: frozenset({State.RUNNING}),
    log.Compacted: frozenset({State.RUNNING}),
    log.ToolCalled: frozenset({State.RUNNING}),
    log.Reported: frozenset({State.RUNNING}),
    log.Spawned: frozenset({State.RUNNING}),
    log.Adopted: frozenset({State.RUNNING}),
    log.HandOffStored: frozenset(State),
    log.ContextTold: frozenset({State.RUNNING}),
    log.Stopping: frozenset({State.RUNNING}),
    # A route asks about a job that waits, a merge about one that has ended; and what nobody answered is withdrawn
    # wherever the job has got to.
    log.Asked: frozenset(State),
    log.Answered: frozenset(State),
    log.Reopened: frozenset(State),
    log.CardSnoozed: frozenset(State),
    log.DefaultNear: frozenset(State),
    log.Escalated: frozenset(State),
    log.Triaged: frozenset(State),
    log.GateChecked: frozenset({State.RUNNING, State.GATING}),
    log.GateReviewed: frozenset(State),
    log.NetworkRefused: frozenset(State),
    log.Routed: frozenset({State.BLOCKED, State.READY}),
    log.RaceChecked: frozenset(State),
    log.MergeEntered: frozenset(State),
    log.MergeMoved: frozenset(State),
    log.BudgetWarned: frozenset(State),
    log.BudgetReached: frozenset(State),
    log.Prioritised: frozenset({State.BLOCKED, State.READY}),
    log.Moved: frozenset({State.BLOCKED, State.READY}),
    log.Snoozed: frozenset({State.BLOCKED, State.READY}),
    log.Edited: frozenset(State) - {State.RUNNING, State.GATING},
    log.Rerouted: frozenset(State),
    log.Due: frozenset({State.READY, State.BLOCKED}),
    log.Held: frozenset({State.BLOCKED, State.READY, State.RUNNING, State.GATING}),
    log.Released: frozenset(State),
    log.Attached: frozenset(State) - {State.GATING},
    log.Detached: frozenset(State),
}

_WAITING = frozenset({State.BLOCKED, State.READY})
_OVER = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

#: Where taking an action back may lead a job from each state. What runs or has run cannot be made undone.
RESTORABLE: Mapping[State, frozenset[State]] = {
    State.BLOCKED: _WAITING | _OVER,
    State.READY: _WAITING | _OVER | {State.GATING},
    State.CANCELLED: _WAITING | {State.CANCELLED, State.GATING},
    State.FAILED: _WAITING | {State.FAILED, State.GATING},
    State.SUCCEEDED: frozenset({State.SUCCEEDED, State.GATING}),
    State.RUNNING: frozenset({State.RUNNING}),
    State.GATING: frozenset({State.GATING}),
}


class IllegalTransitionError(RefusedError):
    """An event that cannot happen to a job in its present state."""


def next_state(state: State | None, body: log.Body) -> State:
    """The state after an event, raising `IllegalTransitionError` where the table has no such row."""
    kind = type(body)
    if isinstance(body, log.Restored) and state is not None and body.to.state in RESTORABLE[state]:
        return body.to.state
    if (moved := TRANSITIONS.get((state, kind))) is not None:
        return moved
    if state is not None and state in REMARKS.get(kind, frozenset()):
        return state
    word = kind.__struct_config__.tag
    raise IllegalTransitionError(f"a {state or 'new'} job cannot be {word}")
