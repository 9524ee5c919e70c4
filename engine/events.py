"""The append-only log: one struct for each thing that can happen to a job.

What is not in the log did not happen: the table of jobs can be rebuilt from it (`engine.store.rebuild`), so every
body carries all that the change of state needs.
"""

from __future__ import annotations

from msgspec import Struct

from engine.decision import CardKind, Choice, Rule
from engine.model import Failure, Grade, JobSpec, State, Usage


class Body(Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Base of the event bodies; the tag says which."""


class Submitted(Body, frozen=True, tag="submitted"):
    """A job was accepted. The only copy of its prompt is in here."""

    spec: JobSpec
    title: str
    agent: str
    model: str | None = None
    project: str | None = None
    not_before: int | None = None
    account: str | None = None
    deadline: int | None = None
    batch: int | None = None


class Blocked(Body, frozen=True, tag="blocked"):
    """The job waits for others: at its submission, or again because one of them was put back."""

    on: tuple[int, ...] = ()
    """The first of them."""
    count: int = 0


class Unblocked(Body, frozen=True, tag="unblocked"):
    """What the job waited for is there."""


class Claimed(Body, frozen=True, tag="claimed"):
    """The dispatcher gave the job to an attempt, which counts from now on."""

    number: int
    resumes: str | None = None


class Launched(Body, frozen=True, tag="launched"):
    """The attempt's process runs."""

    pid: int
    workspace: str
    session: str | None = None
    resumes: str | None = None
    """The session that it goes on in, or is a fork of."""
    forked: bool = False
    note: str | None = None
    """What to know of that session."""


class HandedOff(Body, frozen=True, tag="handed_off"):
    """The attempt begins a new session, which is told what was done before it."""

    why: str
    was: str | None = None
    """The session that it does not go on in."""
    tokens: int = 0
    """What the hand-off takes of the new session, as it was estimated."""


class Compacted(Body, frozen=True, tag="compacted"):
    """The agent shortened its own conversation."""

    session: str
    trigger: str
    before_tokens: int | None = None
    after_tokens: int | None = None


class Adopted(Body, frozen=True, tag="adopted"):
    """A new engine found the attempt of an earlier one alive, and follows it."""

    pid: int


class Requeued(Body, frozen=True, tag="requeued"):
    """The attempt ended without a verdict, and the job waits for another one."""

    failure: Failure
    reason: str
    not_before: int | None = None
    usage: tuple[Usage, ...] = ()
    counted: bool = True
    """It uses up one of the job's attempts; a limit does not."""
    fresh: bool = False
    """The next attempt begins a new conversation."""
    anew: bool = False
    """The next attempt begins in a workspace that was set back."""


class Succeeded(Body, frozen=True, tag="succeeded"):
    result: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()


class Failed(Body, frozen=True, tag="failed"):
    failure: Failure
    reason: str
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()
    cause: int | None = None
    """The job because of which it failed."""


class Stopping(Body, frozen=True, tag="stopping"):
    """The operator cancelled a running job; its processes are being ended."""

    by: str


class Parked(Body, frozen=True, tag="parked"):
    """The attempt was ended so that the operator can work in its session. It uses up nothing."""

    by: str
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()


class Attached(Body, frozen=True, tag="attached"):
    """The operator takes over the job's session: the job is held until he has left it."""

    by: str
    pid: int
    hold: str
    """What its hold says."""


class Detached(Body, frozen=True, tag="detached"):
    """The operator has left the session; the job is held as it was before, or because of how that ended."""

    by: str
    hold: str | None = None
    reason: str | None = None


class Cancelled(Body, frozen=True, tag="cancelled"):
    by: str
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()
    reason: str | None = None
    cause: int | None = None
    """The job because of which it was skipped."""


class Retried(Body, frozen=True, tag="retried"):
    """The operator put an ended job back into the queue."""

    by: str
    fresh: bool = False
    fork: bool = False


class Held(Body, frozen=True, tag="held"):
    """Of a job; or, without one, of a scope: `all`, or one such as `project:/src/api`."""

    by: str
    scope: str = "all"


class Released(Body, frozen=True, tag="released"):
    by: str
    scope: str = "all"


class Prioritised(Body, frozen=True, tag="prioritised"):
    by: str
    priority: int


class Moved(Body, frozen=True, tag="moved"):
    """The job has another place in its queue."""

    by: str
    rank: int
    priority: int


class Snoozed(Body, frozen=True, tag="snoozed"):
    by: str
    not_before: int | None = None


class Edited(Body, frozen=True, tag="edited"):
    """The job asks for something else from now on. Its spec is in here, as it is in a submission."""

    by: str
    spec: JobSpec
    title: str


class Rerouted(Body, frozen=True, tag="rerouted"):
    """The next attempt runs on another target."""

    by: str
    agent: str
    model: str | None = None
    account: str | None = None
    was: str = ""
    """The target before, as it is written."""
    at_once: bool = False
    """What it waited for was a limit of the account that it has left."""


class Standing(Struct, frozen=True, omit_defaults=True):
    """How a job stood, as far as an operator's verb can change it."""

    state: State
    title: str
    agent: str
    priority: int
    rank: int
    spec_seq: int
    model: str | None = None
    account: str | None = None
    not_before: int | None = None
    held_by: str | None = None
    ended_at: int | None = None
    failure: Failure | None = None
    reason: str | None = None
    fresh: bool = False
    anew: bool = False
    tries: int = 0
    waits: int = 0
    cause: int | None = None
    fork: bool = False


class Restored(Body, frozen=True, tag="restored"):
    """An action was taken back: the job stands as it did before."""

    by: str
    action: int
    to: Standing


class CapSet(Body, frozen=True, tag="cap_set"):
    """How many attempts may run at once in a scope. None: as many as the settings say."""

    by: str
    scope: str
    limit: int | None = None


class Draining(Body, frozen=True, tag="draining"):
    """Nothing new starts until the engine has stopped, or the drain was taken back."""

    by: str
    ended: bool = False


class BreakerMoved(Body, frozen=True, tag="breaker_moved"):
    """A target was paused, is tried again, or is as good as any other."""

    target: str
    failure: Failure | None = None
    until: int | None = None
    allowed: int | None = None


class Pruned(Body, frozen=True, tag="pruned"):
    """Ended jobs and their events were removed from the database."""

    by: str
    jobs: int
    before: int
    """All that ended before this time, as far as it was asked for."""


class Due(Body, frozen=True, tag="due"):
    """The time in `not_before` has come."""


class Asked(Body, frozen=True, tag="asked"):
    """The agent waits for the operator."""

    card: int
    what: CardKind
    tool: str
    summary: str
    due: int | None = None


class Answered(Body, frozen=True, tag="answered"):
    """A card came to its end: by the operator, by a rule, by its time, or because nobody asks any more."""

    card: int
    choice: Choice
    by: str
    reason: str | None = None
    rule: int | None = None
    left: int | None = None
    """The oldest card of the job that is still open."""


class RuleKept(Body, frozen=True, tag="rule_kept"):
    """A standing answer, from now on."""

    rule: Rule


class RuleDropped(Body, frozen=True, tag="rule_dropped"):
    by: str
    rule: Rule


class LimitSeen(Body, frozen=True, tag="limit_seen"):
    """A rate-limit window changed."""

    agent: str
    window: str
    status: str
    used: float | None = None
    resets_at: int | None = None


class EngineStarted(Body, frozen=True, tag="engine_started"):
    pid: int
    version: str


class EngineStopped(Body, frozen=True, tag="engine_stopped"):
    reason: str


AnyBody = (
    Submitted
    | Blocked
    | Unblocked
    | Claimed
    | Launched
    | HandedOff
    | Compacted
    | Adopted
    | Requeued
    | Succeeded
    | Failed
    | Stopping
    | Parked
    | Attached
    | Detached
    | Cancelled
    | Retried
    | Held
    | Released
    | Prioritised
    | Moved
    | Snoozed
    | Edited
    | Rerouted
    | Restored
    | CapSet
    | Draining
    | BreakerMoved
    | Pruned
    | Due
    | Asked
    | Answered
    | RuleKept
    | RuleDropped
    | LimitSeen
    | EngineStarted
    | EngineStopped
)


class Event(Struct, frozen=True, kw_only=True):
    """One line of the log. `at` is milliseconds UTC; `seq` grows by one and is never used twice."""

    seq: int
    at: int
    body: AnyBody
    job: int | None = None
    attempt: int | None = None


def total_cost(usage: tuple[Usage, ...]) -> tuple[int | None, Grade]:
    """The money in some usages: the sum of what is known, under the worst grade of its parts.

    Returns micro-dollars (None where no part is known) and the grade.
    """
    known = [u.cost_micros for u in usage if u.cost_micros is not None]
    if not usage or not known:
        return None, Grade.UNKNOWN
    order = list(Grade)
    worst = max((u.grade if u.cost_micros is not None else Grade.UNKNOWN for u in usage), key=order.index)
    return sum(known), worst
