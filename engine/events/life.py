"""What happens to a job by itself, from its submission to its end."""

from __future__ import annotations

from engine.events.body import Body
from engine.model import Failure, JobSpec, Usage


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
    route: str | None = None
    routed: str = ""
    """Why it takes that route."""
    triage: str | None = None
    schedule: str | None = None
    within: int | None = None
    """The job in whose worktree it works."""


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


class Pruned(Body, frozen=True, tag="pruned"):
    """Ended jobs and their events were removed from the database."""

    by: str
    jobs: int
    before: int
    """All that ended before this time, as far as it was asked for."""


class Due(Body, frozen=True, tag="due"):
    """The time in `not_before` has come."""


LifeBody = Submitted | Blocked | Unblocked | Claimed | Launched | Adopted | Requeued | Succeeded | Failed | Pruned | Due
