"""The nouns of Headway as frozen types. No I/O, no clock.

Times are integers: milliseconds since 1970-01-01 UTC. Money is integer micro-dollars. Everything that crosses
the socket is one of these types, encoded as JSON by msgspec.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct, field

from engine.sessions import Session

JobId = NewType("JobId", int)
AttemptId = NewType("AttemptId", int)

PRIORITY_DEFAULT = 5
ALL = "all"  #: the scope of everything: caps and holds are put on it, or on one of `SCOPES`, written `kind:name`
SCOPES = ("agent", "account", "target", "project", "tag")
TAG = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$"  #: what tags and names are made of


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


class Target(Struct, frozen=True):
    """What an attempt runs on, written `claude:opus@work`: agent, model, account. Unset parts are the agent's own."""

    agent: str
    model: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        model = f":{self.model}" if self.model else ""
        return f"{self.agent}{model}{f'@{self.account}' if self.account else ''}"

    @property
    def paid_by(self) -> str:
        """The account with its agent, as `claude@work`: whose limits an attempt meets."""
        return f"{self.agent}@{self.account}" if self.account else self.agent

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read the written form. A model may hold colons (`opencode:ollama/qwen3:8b`); an account holds no `@`."""
        head, at, account = text.strip().rpartition("@")
        agent, _, model = (head if at else account).partition(":")
        return cls(agent, model or None, account if at else None)


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
    account: str | None = None
    """An account of the settings."""
    kind: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """What sort of work it is: forecasts learn from jobs of the same kind on the same target."""
    tags: list[Annotated[str, Meta(pattern=TAG)]] = field(default_factory=list)
    name: Annotated[str, Meta(pattern=TAG)] | None = None
    """How other jobs of the same submission call it."""
    after: list[int | str] = field(default_factory=list)
    """Ids, or names in the same submission, of jobs that have to succeed first: all of them."""
    after_any: list[int | str] = field(default_factory=list)
    """The same, where one of them is enough."""
    on_failure: OnFailure | None = None
    """What becomes of it when one of those does not succeed. Unset: `skip`; for what follows a batch, `run`."""
    key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """While a job with this key is unfinished, submitting another one gives that job instead."""
    deadline: str | int | None = None
    """When it has to have ended, written as `not_before`. What has not is failed then, as `timeout`."""
    timeout: str | int | None = None
    """How long one attempt may take: seconds, or `90s`, `15m`, `2h`, `1d`."""
    stall: str | int | None = None
    """How long an attempt may go without an event before it is stopped as `stalled`; 0 is for ever."""
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Attempts before the engine gives up. Waits for a limit do not count."""
    repeatable: bool | None = None
    """Running it again from the start does no harm, so that the engine may do so by itself."""
    memory: str | int | None = None
    """What its processes may hold together before they are stopped: bytes, or `500M`, `2G`."""
    system: str | None = None
    """A system prompt, for an agent that takes one: `llm`."""
    schema: dict[str, object] | None = None
    """A JSON Schema that the answer has to be valid against, likewise."""
    permission: Permission | None = None
    """Who decides whether its agent may use a tool. Unset: what the project says, else the agent's settings."""


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
    account: str | None = None
    kind: str | None = None
    tags: list[str] = field(default_factory=list)
    key: str | None = None
    batch: int | None = None
    deadline: int | None = None
    attempts: int = 0
    waiting_on: int | None = None
    """The card that its agent waits for: the oldest open one."""
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

    @property
    def target(self) -> str:
        return str(Target(self.agent, self.model, self.account))


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


class Footprint(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the processes of an attempt take of the machine, as it was last measured."""

    memory: int | None = None
    """Bytes that they hold together."""
    cpu_ms: int | None = None
    """Processor time that they have used since the start."""
    processes: int | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """One try at a job on one target. `id` is the fencing number: only the job's newest attempt may settle it."""

    id: int
    job: int
    number: int
    agent: str
    model: str | None
    created_at: int
    account: str | None = None
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
    memory_peak: int | None = None
    """The most that its processes held together, in bytes, as far as it was measured."""
    cpu_ms: int | None = None
    """Processor time that they used."""
    processes_peak: int | None = None
    """The most of them that were seen at once."""
    now: Footprint | None = None
    """What they take at this moment; None for one that has ended, or was not measured yet."""
    forked: bool = False
    """It works in a fork of the session that it resumes."""
    handoff: str | None = None
    """Why it began a new session with a hand-off; the hand-off itself is in its run directory."""
    note: str | None = None
    """What to know of the session that it went on in."""
    usage: list[Usage] = field(default_factory=list)


class Cause(StrEnum):
    """What kind of thing keeps a job from starting."""

    DRAINING = "draining"
    HELD = "held"
    DEPENDENCY = "dependency"
    NOT_BEFORE = "not_before"
    BACKOFF = "backoff"
    LIMIT = "limit"
    CAP = "cap"
    BREAKER = "breaker"
    MEMORY = "memory"
    DECISION = "decision"
    """It runs, and its agent waits for the operator."""
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


class JobDetail(Struct, frozen=True, kw_only=True):
    """Everything known of one job."""

    job: Job
    spec: JobSpec
    attempts: list[Attempt]
    waiting: list[Reason] = field(default_factory=list)
    """Why it does not run, as the dispatcher sees it; empty for a job that runs or has ended."""
    after: dict[int, str] = field(default_factory=dict)
    """The jobs that it comes after, and how each of them has ended; empty text where it has not."""
    before: list[int] = field(default_factory=list)
    """Jobs that come after it."""
    sessions: list[Session] = field(default_factory=list)
    """The conversations that were begun for it."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a job stands where it stands, and what is to be expected of it."""

    job: Job
    waiting: list[Reason]
    ahead: int | None
    """How many jobs of its own lane go first; None where it is not in line."""
    estimate: Estimate | None
    notes: list[str] = field(default_factory=list)
    """What else the operator should know: a deadline, a retry, a limit on attempts."""


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


class AccountStatus(Struct, frozen=True, kw_only=True):
    """One login of an agent."""

    name: str
    ok: bool | None
    """None: nothing is set up here."""
    found: str
    mend: str = ""
    expires_at: int | None = None


class AgentStatus(Struct, frozen=True, kw_only=True):
    """One agent."""

    agent: str
    program: str
    version: str | None
    """None: it cannot be started."""
    problem: str = ""
    accounts: list[AccountStatus] = field(default_factory=list)


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
    cards: int = 0
    """Decisions that wait for the operator."""
    slots: int
    held_all: str | None
    """Who holds everything, if anyone does."""
    draining: bool
    spend_today_micros: int
    spend_today_grade: Grade
    theme: str | None = None
    keys: dict[str, str] = field(default_factory=dict)


class Order(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What the operator asks for: a verb, what it is about, and what it takes."""

    verb: Verb
    jobs: list[Annotated[int, Meta(ge=0, le=10**18)]] = field(default_factory=list)
    filter: str | None = None
    """Instead of ids: all jobs that match."""
    scope: str | None = None
    """Instead of jobs: all that is and comes in a scope, such as `all` or `agent:claude`."""
    dry_run: bool = False
    preview: bool = True
    """A dry run also says what would follow. To count what a verb would do, that is not needed."""
    fresh: bool = False
    """`retry`: begin a new conversation."""
    fork: bool = False
    """`retry`: go on in a copy of the conversation, which itself stays as it is."""
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    until: str | int | None = None
    """`snooze`: a time or a delay, as `not_before` of a job; None for at once."""
    to: str | None = None
    """`reroute`: the target."""
    prompt: str | None = None
    """`edit`: the new prompt."""
    place: str | None = None
    """`move`: `first`, `last`, `before:12`, `after:12`."""
    limit: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    """`cap`: attempts at once; None for what the settings say."""


class Shift(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change does to one job, as far as it can be foreseen."""

    job: int
    title: str
    before: Estimate | None = None
    after: Estimate | None = None
    stops: bool = False
    now: bool = False
    """It would start at once."""
    waits: str = ""
    """Why it would wait, where it would."""


class Preview(Struct, frozen=True, kw_only=True):
    """What would follow from a verb: computed by what the dispatcher acts with, on the queue as it would be."""

    shifts: list[Shift] = field(default_factory=list)
    """The jobs that it is about, and others whose start it moves; at most `SHIFTS` of them."""
    others: int = 0
    """Further jobs whose start moves."""
    finish_before: int | None = None
    """When the last of all jobs is expected to finish, as things are; None where that is not known."""
    finish_after: int | None = None
    cost_micros: int | None = None
    """What the jobs that it puts into the queue are expected to cost, less what those cost that it takes out."""
    unpriced: int = 0
    """Jobs in that sum of which no cost is known."""


class ActionResult(Struct, frozen=True, kw_only=True):
    """What a verb did, or with `dry_run` would have done."""

    verb: Verb
    done: list[int]
    stopping: list[int] = field(default_factory=list)
    """Jobs whose running attempt is being stopped; an event tells when each has ended."""
    skipped: dict[str, list[int]] = field(default_factory=dict)
    """Reason -> the jobs that were left as they are."""
    also: dict[str, list[int]] = field(default_factory=dict)
    """What else followed at once -> the jobs: those skipped because of a cancelled one, or put back with it."""
    dry_run: bool = False
    action: int | None = None
    """Its number among the actions, by which it can be undone."""
    preview: Preview | None = None


class Wanted(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A submission as it crosses the socket: `POST /v1/jobs`."""

    jobs: list[JobSpec]
    dry_run: bool = False
    token: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The client's own name for this submission: sent again, it submits nothing twice."""
    batch: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """A name for the jobs together."""
    then: JobSpec | None = None
    """Runs once all of the batch have ended, however they ended unless it says `on_failure`."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a submission came to: the ids, in the order of the jobs; none for a dry run."""

    ids: list[int]
    existing: list[int] = field(default_factory=list)
    """Those among them that were there already: the same key, or the same token."""
    batch: int | None = None
    follow_up: int | None = None
    preview: Preview | None = None


class Undone(Struct, frozen=True, kw_only=True):
    """What taking back an action did, or would do."""

    action: int
    verb: str
    at: int
    restored: list[int] = field(default_factory=list)
    lost: dict[str, list[int]] = field(default_factory=dict)
    """What cannot come back, and why -> the jobs."""
    said: str = ""
    """What was taken back that is not about single jobs."""
    dry_run: bool = False


class ActionLine(Struct, frozen=True, kw_only=True):
    """One thing that the operator did."""

    id: int
    at: int
    verb: str
    by: str
    jobs: int
    """How many jobs it was about; 0 for a scope."""
    undone_at: int | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """Jobs that were submitted together under a name, and how far they are."""

    id: int
    name: str
    at: int
    counts: dict[State, int] = field(default_factory=dict)
    follow_up: int | None = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(n for state, n in self.counts.items() if state not in UNFINISHED)


class Cap(Struct, frozen=True, kw_only=True):
    """How many attempts may run at once in a scope, and how many do."""

    scope: str
    limit: int | None
    running: int
    source: str
    """`headway.yaml`, or who set it and when."""


class Breaker(Struct, frozen=True, omit_defaults=True):
    """How a target that keeps failing in one way is treated. `engine.dispatch.breaker` has the rules."""

    target: str
    failure: Failure | None = None
    strikes: tuple[int, ...] = ()
    """When it failed so, within the last hour."""
    until: int | None = None
    """Nothing starts before."""
    opened: int = 0
    """How many times in a row it has been paused."""
    allowed: int | None = None
    """After a pause: how many attempts may run at once. None where nothing is limited."""
    others: dict[Failure, tuple[int, ...]] = field(default_factory=dict)
    """When it failed in other ways within the last hour."""


class Progress(Struct, frozen=True, kw_only=True):
    """A running attempt at this moment. Not in the log: sent at most four times a second for each attempt."""

    job: int
    attempt: int
    line: str
    """The newest thing the agent said or did, one line."""
    context_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    context_window: int = 0
    """What the model's context holds, in tokens; 0 where that is not known."""
    at: int = 0
