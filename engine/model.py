"""The nouns of Headway as frozen types. No I/O, no clock.

Times are integers: milliseconds since 1970-01-01 UTC. Money is integer micro-dollars. Everything that crosses
the socket is one of these types, encoded as JSON by msgspec.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct, field

JobId = NewType("JobId", int)
AttemptId = NewType("AttemptId", int)

PRIORITY_DEFAULT = 5


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
    UNKNOWN = "unknown"


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


class Verb(StrEnum):
    """What an operator can do to jobs."""

    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    RETRY = "retry"


class JobSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a person asks for: one entry of a job file. Unset fields take the defaults of the settings."""

    prompt: Annotated[str, Meta(min_length=1, description="the prompt; for the shell agent, the command line")]
    title: str | None = None
    agent: str | None = None
    model: str | None = None
    project: str | None = None
    """A project's name in the settings, or a directory."""
    workspace: Workspace | None = None
    priority: Annotated[int, Meta(ge=0, le=9, description="0 is most urgent")] = PRIORITY_DEFAULT
    not_before: str | int | None = None
    """A UTC time in milliseconds, an ISO 8601 time, or a delay from now such as `90s`, `15m`, `2h`, `1d`."""


class Job(Struct, frozen=True, kw_only=True):
    """A job as a list shows it. The prompt is not here: it can be long, and `JobDetail` has it."""

    id: int
    state: State
    title: str
    agent: str
    model: str | None
    project: str | None
    """An absolute directory, or None for a scratch directory of the job's own."""
    priority: int
    created_at: int
    started_at: int | None = None
    """When the newest attempt started."""
    ended_at: int | None = None
    not_before: int | None = None
    held_by: str | None = None
    attempts: int = 0
    stopping: bool = False
    """The operator asked for the running attempt to be stopped, and its processes are not gone yet."""
    failure: Failure | None = None
    reason: str | None = None
    """One line: why it failed, or what to know about its success."""
    input_tokens: int = 0
    """All tokens told to the model, cached ones included, over all attempts."""
    output_tokens: int = 0
    cost_micros: int | None = None
    """Micro-dollars over all attempts; None where nothing is known."""
    cost_grade: Grade = Grade.UNKNOWN


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens and money of one attempt on one model. `input_tokens` leaves out what came from or went to the cache."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_micros: int | None = None
    grade: Grade = Grade.UNKNOWN


class DiffStat(Struct, frozen=True, kw_only=True):
    """The size of what an attempt changed in a git workspace."""

    files: int
    added: int
    removed: int
    whole: bool = True
    """Everything could be looked at; else there may be more than was counted."""


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at a job on one target. `id` is the fencing number: only the job's newest attempt may settle it."""

    id: int
    job: int
    number: int
    agent: str
    model: str | None
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    pid: int | None = None
    exit_code: int | None = None
    session: str | None = None
    """The agent's own name for the conversation."""
    resumes: str | None = None
    """The session that this attempt was asked to go on with."""
    workspace: str | None = None
    branch: str | None = None
    run_dir: str = ""
    succeeded: bool | None = None
    failure: Failure | None = None
    reason: str | None = None
    result: str | None = None
    """The agent's last word, cut at 4,000 characters."""
    diff: DiffStat | None = None
    unknown_lines: int = 0
    """Lines of the agent's output that its adapter did not know; they are kept in the run's files."""
    usage: list[Usage] = field(default_factory=list)


class JobDetail(Struct, frozen=True, kw_only=True):
    """Everything known of one job."""

    job: Job
    spec: JobSpec
    attempts: list[Attempt]
    waiting: list[str] = field(default_factory=list)
    """Why it does not run, as the dispatcher sees it; empty for a job that runs or has ended."""


class LimitReading(Struct, frozen=True, kw_only=True):
    """The newest reading of one rate-limit window of an agent's account."""

    agent: str
    window: str
    status: str
    used: float | None
    """Share of the window, 0 to 1."""
    resets_at: int | None
    source: str
    observed_at: int


class Counts(Struct, frozen=True, kw_only=True):
    """How many jobs stand where. `held` counts unfinished jobs under a hold; they are in their state's count too."""

    blocked: int = 0
    ready: int = 0
    running: int = 0
    gating: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    held: int = 0

    @property
    def unfinished(self) -> int:
        return self.blocked + self.ready + self.running + self.gating


class Status(Struct, frozen=True, kw_only=True):
    """One glance at the engine: what the status line shows."""

    version: str
    pid: int
    home: str
    started_at: int
    now: int
    seq: int
    """The newest event; a subscriber starts after it."""
    counts: Counts
    slots: int
    held_all: str | None
    """Who holds everything, if anyone does."""
    draining: bool
    spend_today_micros: int
    spend_today_grade: Grade
    theme: str | None = None
    keys: dict[str, str] = field(default_factory=dict)


class ActionResult(Struct, frozen=True, kw_only=True):
    """What a verb did, or with `dry_run` would have done."""

    verb: Verb
    done: list[int]
    stopping: list[int] = field(default_factory=list)
    """Jobs whose running attempt is being stopped; an event tells when each has ended."""
    skipped: dict[str, list[int]] = field(default_factory=dict)
    """Reason -> the jobs that were left as they are."""
    dry_run: bool = False


class Progress(Struct, frozen=True, kw_only=True):
    """A running attempt at this moment. Not in the log: sent at most four times a second for each attempt."""

    job: int
    attempt: int
    line: str
    """The newest thing the agent said or did, one line."""
    context_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    at: int = 0
