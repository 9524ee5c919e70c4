"""A job with all that is known of it."""

from __future__ import annotations

from msgspec import Struct, field

from engine.model.attempt import Attempt
from engine.model.gate import GateLook
from engine.model.job import Job, JobSpec
from engine.model.reason import Estimate, Reason
from engine.model.route import Rerouting
from engine.sessions import Session


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
    parent: int | None = None
    """The job whose agent submitted it."""
    children: list[int] = field(default_factory=list)
    """The jobs that its agents submitted."""
    moves: list[Rerouting] = field(default_factory=list)
    """From which target to which it went, the oldest move first."""
    looks: list[GateLook] = field(default_factory=list)
    """What its gate has found, the oldest look first."""
    refused: list[str] = field(default_factory=list)
    """Hosts that it wanted to reach and that its sandbox does not let it, as `host:port`."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a job stands where it stands, and what is to be expected of it."""

    job: Job
    waiting: list[Reason]
    ahead: int | None
    """How many jobs of its own lane go first; None where it is not in line."""
    estimate: Estimate | None
    notes: list[str] = field(default_factory=list)
    """What else the operator should know: a deadline, a retry, a limit on attempts."""
    moves: list[Rerouting] = field(default_factory=list)
    """From which target to which it went, the oldest move first."""
