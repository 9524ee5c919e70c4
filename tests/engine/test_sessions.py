"""The life of a session: one table, and nothing beside it."""

from __future__ import annotations

import pytest

from engine.errors import RefusedError
from engine.sessions import TRANSITIONS, WRITTEN, Session, SessionState, Step, next_session_state


@pytest.mark.parametrize("state", [None, *SessionState])
@pytest.mark.parametrize("step", list(Step))
def test_a_step_leads_where_the_table_says_or_is_refused(state: SessionState | None, step: Step) -> None:
    if (state, step) in TRANSITIONS:
        assert next_session_state(state, step) is TRANSITIONS[state, step]
    else:
        with pytest.raises(RefusedError, match=f"cannot {step}"):
            next_session_state(state, step)


def test_what_is_written_can_neither_be_resumed_forked_nor_retired() -> None:
    """One writer: only what was parked before can be taken up."""
    for state in WRITTEN:
        assert {step for start, step in TRANSITIONS if start is state} <= {Step.HEAR, Step.PARK}


def test_every_state_is_reached_and_every_written_one_can_be_parked() -> None:
    assert set(TRANSITIONS.values()) == set(SessionState)
    for state in WRITTEN:
        assert TRANSITIONS[state, Step.PARK] is SessionState.PARKED


def test_the_share_is_known_only_where_both_parts_are() -> None:
    one = Session(id="s", agent="a", workspace="/w", state=SessionState.PARKED, created_at=0, used_at=0)
    assert one.share is None
    full = Session(
        id="s", agent="a", workspace="/w", state=SessionState.PARKED, created_at=0, used_at=0,
        context_tokens=50_000, context_window=200_000,
    )  # fmt: skip
    assert full.share == 0.25
