"""One table from failure to action: what is not known stops."""

from __future__ import annotations

import pytest

from engine.dispatch.retry import ACTIONS, MAX_ATTEMPTS, Action, after
from engine.model import Failure


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("attempts", [1, MAX_ATTEMPTS - 1, MAX_ATTEMPTS, MAX_ATTEMPTS + 1])
def test_only_an_engine_that_was_lost_gives_back_and_only_what_can_go_on(
    failure: Failure, resumable: bool, attempts: int
) -> None:
    goes_back = failure is Failure.ENGINE_LOST and resumable and attempts < MAX_ATTEMPTS
    assert after(failure, attempts=attempts, resumable=resumable) is (Action.REQUEUE if goes_back else Action.STOP)


def test_an_unknown_failure_fails_closed() -> None:
    assert Failure.UNKNOWN not in ACTIONS
    assert after(Failure.UNKNOWN, attempts=1, resumable=True) is Action.STOP
