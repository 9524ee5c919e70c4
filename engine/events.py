"""The append-only log: one struct for each thing that can happen to a job.

What is not in the log did not happen: the table of jobs can be rebuilt from it (`engine.store.rebuild`), so every
body carries all that the change of state needs.
"""

from __future__ import annotations

from msgspec import Struct

from engine.model import Failure, Grade, JobSpec, Usage


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


class Claimed(Body, frozen=True, tag="claimed"):
    """The dispatcher gave the job to an attempt, which counts from now on."""

    number: int
    resumes: str | None = None


class Launched(Body, frozen=True, tag="launched"):
    """The attempt's process runs."""

    pid: int
    workspace: str
    session: str | None = None


class Adopted(Body, frozen=True, tag="adopted"):
    """A new engine found the attempt of an earlier one alive, and follows it."""

    pid: int


class Requeued(Body, frozen=True, tag="requeued"):
    """The attempt ended without a verdict, and the job waits for another one."""

    failure: Failure
    reason: str
    not_before: int | None = None
    usage: tuple[Usage, ...] = ()


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


class Stopping(Body, frozen=True, tag="stopping"):
    """The operator cancelled a running job; its processes are being ended."""

    by: str


class Cancelled(Body, frozen=True, tag="cancelled"):
    by: str
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()


class Retried(Body, frozen=True, tag="retried"):
    """The operator put an ended job back into the queue."""

    by: str
    fresh: bool = False


class Held(Body, frozen=True, tag="held"):
    by: str


class Released(Body, frozen=True, tag="released"):
    by: str


class Due(Body, frozen=True, tag="due"):
    """The time in `not_before` has come."""


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
    | Claimed
    | Launched
    | Adopted
    | Requeued
    | Succeeded
    | Failed
    | Stopping
    | Cancelled
    | Retried
    | Held
    | Released
    | Due
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
