"""What happens around the jobs: at the engine, its targets and their limits."""

from __future__ import annotations

from engine.events.body import Body
from engine.model import Failure
from engine.window import Window


class BreakerMoved(Body, frozen=True, tag="breaker_moved"):
    """A target was paused, is tried again, or is as good as any other."""

    target: str
    failure: Failure | None = None
    until: int | None = None
    allowed: int | None = None


class LimitSeen(Body, frozen=True, tag="limit_seen"):
    """A rate-limit window of an account is not as before."""

    window: str
    status: str
    used: float | None = None
    resets_at: int | None = None
    """As told, milliseconds UTC."""
    account: str = ""
    """As `claude@work`; in the logs of engines before 0.2 it stands under `agent`."""
    until: int | None = None
    """Nothing of the account starts before."""
    state: Window | None = None
    """All that is believed of it now, from which the table can be rebuilt."""
    agent: str = ""


class EngineStarted(Body, frozen=True, tag="engine_started"):
    pid: int
    version: str


class EngineStopped(Body, frozen=True, tag="engine_stopped"):
    reason: str


class ClockSet(Body, frozen=True, tag="clock_set"):
    """Somebody set this machine's clock. `by_ms`: how far ahead; below zero it was set back."""

    by_ms: int
    opened: int = 0
    """Jobs whose waits had been counted by the clock as it was, and which wait no longer."""


AroundBody = BreakerMoved | LimitSeen | EngineStarted | EngineStopped | ClockSet
