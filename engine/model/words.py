"""The words that jobs, attempts and verbs are told in."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

JobId = NewType("JobId", int)

AttemptId = NewType("AttemptId", int)

PRIORITY_DEFAULT = 5

ALL = "all"  #: the scope of everything: caps and holds are put on it, or on one of `SCOPES`, written `kind:name`

SCOPES = ("agent", "account", "target", "project", "tag")

TAG = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}\Z"  #: what tags and names are made of


class State(StrEnum):
    """Where a job stands. Transitions are in `engine.transitions`, nowhere else."""

    BLOCKED = "blocked"
    READY = "ready"
    RUNNING = "running"
    GATING = "gating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = frozenset({State.BLOCKED, State.READY, State.RUNNING, State.GATING})


class Failure(StrEnum):
    """Why an attempt did not do its job. `engine.dispatch.retry` says what follows from each."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    AUTH = "auth"
    BILLING = "billing"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTEXT_LOST = "context_lost"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CRASHED = "crashed"
    SPAWN_FAILED = "spawn_failed"
    BAD_OUTPUT = "bad_output"
    GATE_REFUSED = "gate_refused"
    BUDGET_EXCEEDED = "budget_exceeded"
    ENGINE_LOST = "engine_lost"
    OUT_OF_MEMORY = "out_of_memory"
    RESOURCE_EXCEEDED = "resource_exceeded"
    DEPENDENCY_FAILED = "dependency_failed"
    UNKNOWN = "unknown"


LIMITS = frozenset({Failure.RATE_LIMITED, Failure.OVERLOADED})  #: what ends by itself, at the provider


class Grade(StrEnum):
    """How well a sum of money is known, best first. A total shows the worst grade of its parts."""

    REPORTED = "reported"
    COMPUTED = "computed"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class Workspace(StrEnum):
    """Where an attempt works: a git worktree of its own, or the project's directory itself."""

    WORKTREE = "worktree"
    PROJECT = "project"


class Permission(StrEnum):
    """Who decides whether an agent may use a tool."""

    PRESET = "preset"
    """The agent's `permission_mode` and `allowed_tools`; all else is refused, and nobody is asked."""
    ASK = "ask"
    """The operator, while the agent waits; rules before that."""
    BYPASS = "bypass"
    """Nobody: it may do anything. Only in a project that says `allow_bypass`."""


class OnFailure(StrEnum):
    """What becomes of a job when one that it comes after does not succeed."""

    SKIP = "skip"
    """It is cancelled."""
    FAIL = "fail"
    """It fails, with the class `dependency_failed`."""
    RUN = "run"
    """It runs all the same, once all have ended."""


class Verb(StrEnum):
    """What an operator can do to jobs."""

    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    RETRY = "retry"
    REROUTE = "reroute"
    PRIORITY = "priority"
    SNOOZE = "snooze"
    EDIT = "edit"
    MOVE = "move"
    CAP = "cap"
    DRAIN = "drain"
