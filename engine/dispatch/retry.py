"""Failure class -> what follows, in one table. Pure.

Retries with backoff, waits for a reset and reroutes take their places in this table when they exist. Until then an
attempt that failed stops its job, for the operator to see and retry; only what surely had no effect is run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from engine.model import Failure


class Action(StrEnum):
    """What follows an attempt that did not succeed."""

    STOP = "stop"
    REQUEUE = "requeue"


#: What is not named here stops: an unknown failure fails closed.
ACTIONS: Mapping[Failure, Action] = {Failure.ENGINE_LOST: Action.REQUEUE}

#: A job whose attempts keep taking the machine down with them has to stop some day.
MAX_ATTEMPTS = 3


def after(failure: Failure, *, attempts: int, resumable: bool) -> Action:
    """What follows a failure of this class in an attempt that ran.

    `attempts`: how many the job has had. `resumable`: its conversation can go on in the same place; what cannot be
    resumed may have had effects already, and is not blindly run again.
    """
    action = ACTIONS.get(failure, Action.STOP)
    if action is Action.REQUEUE and (not resumable or attempts >= MAX_ATTEMPTS):
        return Action.STOP
    return action
