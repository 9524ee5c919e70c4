"""The one vocabulary of states: job -> glyph, ASCII sign, word, role, rank. Trusted in that order, colour last."""

from __future__ import annotations

from dataclasses import dataclass, replace

from console.format import age
from console.roles import Role
from engine.model import Failure, Job, State


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

_LIMITS = frozenset({Failure.RATE_LIMITED, Failure.OVERLOADED})
_LOSSES = frozenset({Failure.ENGINE_LOST, Failure.CONTEXT_LOST})


def mark_of(job: Job, now: int) -> Mark:
    """How a job looks at a moment (milliseconds UTC)."""
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
        case State.BLOCKED:
            return BLOCKED
        case State.READY:
            return _waiting(job, now)


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
