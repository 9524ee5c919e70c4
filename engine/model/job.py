"""One piece of work: what a person asks for, and how a list shows it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from engine.model.target import Target
from engine.model.tools import Tool
from engine.model.words import PRIORITY_DEFAULT, TAG, Failure, Grade, OnFailure, Permission, State, Workspace


class JobSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a person asks for: one entry of a job file. Unset fields take the defaults of the settings."""

    prompt: Annotated[str, Meta(min_length=1, description="the prompt; for the shell agent, the command line")]
    title: str | None = None
    agent: str | None = None
    model: str | None = None
    project: str | None = None
    """A project's name in the settings, or a directory."""
    workspace: Workspace | None = None
    base: Annotated[str, Meta(pattern=r"^[^-\s]\S*\Z", max_length=250)] | None = None
    """What its worktree begins at: a commit, a branch, a tag. Unset is the project's HEAD."""
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
    budget: str | int | float | None = None
    """What it may cost over all its attempts before it is parked and the operator is asked: `$2`, `200k tokens`."""
    system: str | None = None
    """A system prompt, for an agent that takes one: `llm`."""
    schema: dict[str, object] | None = None
    """A JSON Schema that the answer has to be valid against, likewise."""
    route: Annotated[str, Meta(pattern=TAG)] | None = None
    """A route of the settings. Unset: the first one that matches, unless the job names its agent, model or account."""
    triage: Annotated[str, Meta(pattern=TAG)] | None = None
    """Its class, such as `quick` or `big`: a route may match it. Unset: what the rules say."""
    permission: Permission | None = None
    """Who decides whether its agent may use a tool. Unset: what the project says, else the agent's settings."""
    skills: list[Annotated[str, Meta(min_length=1, max_length=64)]] = field(default_factory=list)
    """Names of skills that its agent is given."""
    mcp: bool | list[Tool] | None = None
    """The tools of Headway that its agent is given: all that the settings allow, none, or these."""
    persona: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """Who its agent is to be. Unset: what its worker or its project says."""
    worker: Annotated[str, Meta(pattern=TAG, max_length=64)] | None = None
    """The worker that it is done in: one after the other, in the same session and directory."""
    gate: Annotated[str, Meta(pattern=TAG)] | None = None
    """A gate of the settings. Unset: its project's, else that of its kind; `none` is none."""


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
    route: str | None = None
    """The route that says where else it may run; None where nothing but the operator moves it."""
    kind: str | None = None
    tags: list[str] = field(default_factory=list)
    key: str | None = None
    batch: int | None = None
    deadline: int | None = None
    attempts: int = 0
    schedule: str | None = None
    """The schedule that submitted it."""
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
    triage: str | None = None
    """What sort of job it is: its class."""
    worker: str | None = None
    """The persistent worker that it is done in."""

    @property
    def target(self) -> str:
        return str(Target(self.agent, self.model, self.account))
