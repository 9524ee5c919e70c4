"""One try at a job: what it used, changed and took."""

from __future__ import annotations

from msgspec import Struct, field

from engine.model.tools import Report
from engine.model.words import Failure, Grade


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens and money of one attempt on one model. `input_tokens` leaves out what came from or went to the cache."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Of those, what is to be kept for an hour: it has a price of its own."""
    reasoning_tokens: int = 0
    """Of the output, what was thought and not said, where the agent tells."""
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
    limits: str | None = None
    """What they may take, and who holds them to that; None for one that has ended, or may take anything."""
    forked: bool = False
    """It works in a fork of the session that it resumes."""
    handoff: str | None = None
    """Why it began a new session with a hand-off; the hand-off itself is in its run directory."""
    note: str | None = None
    """What to know of the session that it went on in."""
    report: Report | None = None
    """How far its agent said that it was, last."""
    node: str | None = None
    """The machine of the cluster that it ran on; None for the engine's own."""
    usage: list[Usage] = field(default_factory=list)


class Progress(Struct, frozen=True, kw_only=True):
    """A running attempt at this moment. Not in the log: a subscriber is told the newest of each, ten times a second."""

    job: int
    attempt: int
    line: str
    """The newest thing the agent said or did, one line."""
    context_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    context_window: int = 0
    """What the model's context holds, in tokens; 0 where that is not known."""
    cost_micros: int | None = None
    """What the attempt has cost so far, as the ledger has it; None where nothing is known."""
    cost_grade: Grade = Grade.UNKNOWN
    at: int = 0
