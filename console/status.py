"""The one vocabulary of states: job -> glyph, ASCII sign, word, role, rank. Trusted in that order, colour last."""

from __future__ import annotations

from dataclasses import dataclass, replace

from console.format import age, job_name
from console.roles import Role
from engine.model import ALL, Cause, Failure, Job, Reason, State
from engine.model.listing import Wait


@dataclass(frozen=True, slots=True)
class Mark:
    """How a state looks. `rank` orders states from what needs the operator most to what is over."""

    glyph: str
    ascii: str
    word: str
    role: Role
    rank: int


FAILED = Mark("✗", "x", "failed", Role.FAILED, 1)
LOST = Mark("?", "?", "lost", Role.LOST, 2)
RUNNING = Mark("▸", ">", "running", Role.RUN, 3)
ASKING = Mark("!", "!", "asks you", Role.YOU, 0)
STOPPING = Mark("▸", ">", "stopping", Role.WAIT, 3)
GATING = Mark("▹", "g", "gating", Role.RUN, 3)
RETRYING = Mark("↻", "r", "retrying", Role.RUN, 3)
LIMITED = Mark("◔", "%", "limited", Role.WAIT, 4)
BLOCKED = Mark("⋯", "~", "blocked", Role.IDLE, 5)
HELD = Mark("=", "=", "held", Role.HELD, 6)
READY = Mark("◌", ".", "ready", Role.IDLE, 7)
SCHEDULED = Mark("◷", "@", "scheduled", Role.IDLE, 8)
DONE = Mark("✓", "+", "done", Role.DONE, 10)
CANCELLED = Mark("⊘", "-", "cancelled", Role.OVER, 11)

MARKS = (
    ASKING, FAILED, LOST, RUNNING, STOPPING, GATING, RETRYING, LIMITED, BLOCKED, HELD, READY, SCHEDULED, DONE,
    CANCELLED,
)  # fmt: skip

#: What keeps a job from starting, as its row says it: with the time that is left, where one is known.
_KEPT = {
    Cause.DRAINING: (HELD, "draining"),
    Cause.HELD: (HELD, "held"),
    Cause.DEPENDENCY: (BLOCKED, "blocked"),
    Cause.NOT_BEFORE: (SCHEDULED, "in"),
    Cause.BACKOFF: (RETRYING, "retry"),
    Cause.LIMIT: (LIMITED, "limited"),
    Cause.PACING: (LIMITED, "paced"),
    Cause.CAP: (READY, "no slot"),
    Cause.BREAKER: (LIMITED, "breaker"),
    Cause.MEMORY: (READY, "low memory"),
    Cause.NODE: (READY, "no node"),
    Cause.BUDGET: (LIMITED, "budget"),
    Cause.PRIVATE: (LIMITED, "private"),
    Cause.GATE: (GATING, "gating"),
}

_LIMITS = frozenset({Failure.RATE_LIMITED, Failure.OVERLOADED})
_LOSSES = frozenset({Failure.ENGINE_LOST, Failure.CONTEXT_LOST})


def mark_of(job: Job, now: int, wait: Wait | None = None) -> Mark:
    """How a job looks at a moment (milliseconds UTC). `wait`: why it does not start, where the engine was asked."""
    match job.state:
        case State.RUNNING:
            if job.stopping:
                return STOPPING
            return ASKING if job.waiting_on is not None else RUNNING
        case State.GATING:
            return GATING
        case State.FAILED:
            return LOST if job.failure in _LOSSES else FAILED
        case State.SUCCEEDED:
            return DONE
        case State.CANCELLED:
            return CANCELLED
        case State.READY | State.BLOCKED if job.waiting_on is not None:
            return ASKING
        case State.READY | State.BLOCKED if job.held_by:
            return HELD
        case State.READY | State.BLOCKED if wait is not None and not _over(wait.reason, now):
            return _kept(wait.reason, now)
        case State.BLOCKED:
            return BLOCKED
        case State.READY:
            return _waiting(job, now)


def _over(reason: Reason, now: int) -> bool:
    return reason.cause is Cause.TURN or (reason.until is not None and reason.until <= now)


def _kept(reason: Reason, now: int) -> Mark:
    """What keeps a job from starting, in at most 13 cells."""
    base, word = _KEPT.get(reason.cause, (READY, str(reason.cause)))
    if reason.cause is Cause.DEPENDENCY and reason.jobs:
        more = f" +{len(reason.jobs) - 1}" if len(reason.jobs) > 1 else ""
        word = f"after {job_name(reason.jobs[0])}{more}"
    elif reason.cause is Cause.CAP and reason.scope != ALL:
        word = f"cap {reason.scope.partition(':')[2].rstrip('/').rsplit('/', 1)[-1]}"
    left = age(reason.until - now, 5) if reason.until is not None else ""
    return replace(base, word=f"{word} {left}".rstrip())


def _waiting(job: Job, now: int) -> Mark:
    if job.not_before is None or job.not_before <= now:
        return RETRYING if job.failure else READY
    left = age(job.not_before - now, 5)
    base = LIMITED if job.failure in _LIMITS else RETRYING if job.failure else SCHEDULED
    short = {"limited": "limited", "retrying": "retry", "scheduled": "in"}[base.word]
    return replace(base, word=f"{short} {left}")


def shown_age(job: Job, now: int) -> int:
    """The age that a list shows, in milliseconds: how long it runs, how long ago it ended, or how long it waits."""
    if job.ended_at is not None and job.state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        return now - job.ended_at
    if job.state in (State.RUNNING, State.GATING) and job.started_at is not None:
        return now - job.started_at
    return now - job.created_at
