"""Why a job does not start, and when it is expected to."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Cause(StrEnum):
    """What kind of thing keeps a job from starting."""

    DRAINING = "draining"
    HELD = "held"
    DEPENDENCY = "dependency"
    NOT_BEFORE = "not_before"
    BACKOFF = "backoff"
    LIMIT = "limit"
    PACING = "pacing"
    """It is background work, and what is left of a window is kept for other work."""
    CAP = "cap"
    BREAKER = "breaker"
    MEMORY = "memory"
    NODE = "node"
    """It goes to a node of the cluster, and none takes it now."""
    BUDGET = "budget"
    """It is used up: its own, or one that it spends of."""
    DECISION = "decision"
    """It runs, and its agent waits for the operator."""
    WORKER = "worker"
    """Another job is done in its worker."""
    PRIVATE = "private"
    """Its project does not let it go to its target's provider."""
    GATE = "gate"
    """Its agent is done, and its gate looks at what it did."""
    TURN = "turn"
    """Nothing: it may start, and others go first."""


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why a job does not start now, and what ends that."""

    cause: Cause
    text: str
    ends: str = ""
    """What ends it, in words."""
    until: int | None = None
    """The moment at which it ends, where there is one."""
    scope: str = ""
    """The cap, hold or breaker that it is about, such as `agent:claude`."""
    jobs: list[int] = field(default_factory=list)
    """The jobs that it waits for."""

    def __str__(self) -> str:
        return f"{self.text}; {self.ends}" if self.ends else self.text


class Estimate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a job is expected to start and to finish: with median durations, and with those of the slow tenth (p90).

    None where that cannot be known: `why` says so.
    """

    job: int
    target: str
    start: int | None = None
    start_late: int | None = None
    finish: int | None = None
    finish_late: int | None = None
    cost_micros: int | None = None
    """The median cost of one like it."""
    basis: int = 0
    """How many earlier attempts the durations come from."""
    why: str = ""
