"""Failure class -> what follows, in one table. Pure.

What is not named here stops: an unknown failure fails closed. An attempt that may have had effects is not blindly run
again: it is resumed where its session can be, else its workspace is set back, else the job is held for the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.model import LIMITS, Failure

MOST_WAITS = 50  #: waits in a row that use up no attempt, before somebody has to look
#: Seconds before an attempt that this machine had nothing left for is tried again: at first, and at most.
SHORT_FIRST, SHORT_LONGEST = 30.0, 600.0


class Action(StrEnum):
    """What follows an attempt that did not succeed."""

    STOP = "stop"
    WAIT = "wait"
    """Until the provider serves again; uses up no attempt."""
    RESUME = "resume"
    """Again, in the same session where that can be."""
    FRESH = "fresh"
    """Again, in a new session in the same workspace."""
    ASK = "ask"
    """The job is held until the operator has looked."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows a class of failure, and how long after it. Seconds: the first delay and the longest."""

    action: Action
    first: float = 5.0
    longest: float = 600.0
    repeats: bool = False
    """A job that says that it may be repeated is run again, where others stop."""


RULES: Mapping[Failure, Rule] = {
    Failure.RATE_LIMITED: Rule(Action.WAIT, 60.0, 1_800.0),
    Failure.OVERLOADED: Rule(Action.WAIT, 15.0, 600.0),
    Failure.AUTH: Rule(Action.ASK),
    Failure.BILLING: Rule(Action.ASK),
    Failure.CONTEXT_OVERFLOW: Rule(Action.FRESH),
    Failure.CONTEXT_LOST: Rule(Action.FRESH),
    Failure.TIMEOUT: Rule(Action.STOP, repeats=True),
    Failure.STALLED: Rule(Action.RESUME, 10.0),
    Failure.CRASHED: Rule(Action.RESUME),
    Failure.SPAWN_FAILED: Rule(Action.STOP),
    Failure.BAD_OUTPUT: Rule(Action.STOP, repeats=True),
    Failure.GATE_REFUSED: Rule(Action.STOP),
    Failure.BUDGET_EXCEEDED: Rule(Action.STOP),
    Failure.ENGINE_LOST: Rule(Action.RESUME, 0.0),
    Failure.OUT_OF_MEMORY: Rule(Action.STOP),
    Failure.RESOURCE_EXCEEDED: Rule(Action.STOP),
    Failure.DEPENDENCY_FAILED: Rule(Action.STOP),
    Failure.UNKNOWN: Rule(Action.STOP, repeats=True),
}


#: The same where the job's route says to stay with the target, of what would else not be tried again.
STAYING: Mapping[Failure, Rule] = {
    Failure.AUTH: Rule(Action.WAIT, 300.0, 3_600.0),
    Failure.BILLING: Rule(Action.WAIT, 300.0, 3_600.0),
    Failure.BAD_OUTPUT: Rule(Action.RESUME),
    Failure.GATE_REFUSED: Rule(Action.RESUME, 0.0),
}

#: What says nothing of the job: where it goes on at another target, such an attempt is not counted.
_NOT_ITS_OWN = LIMITS | {Failure.AUTH, Failure.BILLING}


@dataclass(frozen=True, slots=True)
class Case:
    """What the decision depends on."""

    failure: Failure
    tries: int
    """Attempts that counted, this one included."""
    waits: int
    """Attempts in a row before this one that did not."""
    max_attempts: int
    began: bool
    """A process of it ran, so that it may have had effects."""
    resumable: bool
    """Its conversation can go on in the same place."""
    restorable: bool
    """Its workspace is a worktree of its own that can be set back."""
    repeatable: bool
    """The job says that it may be run again from the start."""
    harmless: bool = False
    """Its agent has no effects, so that it may be, unless the job says otherwise."""
    retry_at: int | None = None
    """When the provider says that the limit ends."""
    stays: bool = False
    """Its route says to stay with the target."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows. `at`, milliseconds UTC: not before; None for at once."""

    action: Action
    at: int | None = None
    counted: bool = True
    fresh: bool = False
    anew: bool = False
    """In a workspace that is set back."""
    why: str = ""


def decide(case: Case, now: int, jitter: float) -> Next:
    """What follows a failure. `jitter`, 0 to 1, is the part of the delay that is waited (full jitter)."""
    rule = RULES.get(case.failure, Rule(Action.STOP))
    if case.stays:
        rule = STAYING.get(case.failure, rule)
    action = rule.action
    if action is Action.STOP and rule.repeats and (case.repeatable or _repeats(case)):
        action = Action.RESUME
    if case.failure is Failure.CONTEXT_OVERFLOW and case.harmless:
        action = Action.STOP  # it had no conversation that could be shortened: the same question is as long again
    if action is Action.ASK:
        return Next(action, counted=False)  # of nothing that the job could do better another time
    if action is Action.STOP:
        return Next(action)
    counted = action is not Action.WAIT and case.began
    if (over := _over(case, counted=counted)) is not None:
        return over
    return _again_from(case, action, _when(rule, case, now, jitter, counted=counted), counted=counted)


def leave(case: Case, *, told: bool) -> Next:
    """What becomes of a job that goes on at another target, at once. Its class does not matter, its effects do.

    `told`: an agent takes over there that is told what was done, and goes on from it in the same workspace.
    """
    counted = case.began and case.failure not in _NOT_ITS_OWN
    if (over := _over(case, counted=counted)) is not None:
        return over
    if case.began and told:
        return Next(Action.RESUME, None, counted, fresh=case.failure is Failure.CONTEXT_OVERFLOW)
    return _again_from(case, Action.RESUME, None, counted=counted)


def _over(case: Case, *, counted: bool) -> Next | None:
    """That it has been tried often enough."""
    if counted and case.tries >= case.max_attempts:
        return Next(Action.STOP, why=f"after {case.tries} attempts" if case.tries > 1 else "")
    if not counted and case.waits >= MOST_WAITS:
        # A limit is no fault of the job. What ends the engine again and again may be.
        action = Action.ASK if case.failure in _NOT_ITS_OWN else Action.STOP
        return Next(action, counted=False, why=f"after {case.waits} waits")
    return None


def _again_from(case: Case, action: Action, at: int | None, *, counted: bool) -> Next:
    """From where it is tried again: an attempt that may have had effects is not blindly run again."""
    if not case.began:
        return Next(action, at, counted)
    if action is Action.FRESH:
        return Next(action, at, fresh=True)
    if case.resumable:
        return Next(action, at, counted)
    if case.repeatable or case.harmless:
        return Next(action, at, counted, fresh=True)
    if case.restorable:
        return Next(action, at, counted, fresh=True, anew=True)
    return Next(Action.ASK, counted=counted, why="it may have had effects, and can neither be resumed nor set back")


def postpone(waits: int, now: int) -> Next:
    """What follows an attempt that never began because this machine was short of something, such as room on a disk.

    That goes by, mostly, and is no fault of the job: it is not failed, but in the end somebody has to look.
    """
    if waits >= MOST_WAITS:
        return Next(Action.ASK, counted=False, why=f"after {waits} waits")
    delay = min(SHORT_LONGEST, SHORT_FIRST * 2 ** min(waits, 20))
    return Next(Action.WAIT, now + round(delay * 1_000), counted=False)


def _repeats(case: Case) -> bool:
    """Without effects all is repeated that may go better another time; a failure that nobody knows still stops."""
    return case.harmless and case.failure is not Failure.UNKNOWN


def _when(rule: Rule, case: Case, now: int, jitter: float, *, counted: bool) -> int | None:
    """Exponential backoff with full jitter; after a known reset, a part of the first delay on top."""
    if case.retry_at is not None and case.retry_at > now:
        return case.retry_at + round(rule.first * 1_000 * jitter)
    doubled = min(rule.longest, rule.first * 2 ** min(case.tries - 1 if counted else case.waits, 20))
    delay = round(doubled * 1_000 * jitter)
    return now + delay if delay > 0 else None
