"""What a gate does with a job whose agent says that it is done."""

from __future__ import annotations

from engine.events.body import Body
from engine.model import Opinion, Usage


class Gated(Body, frozen=True, tag="gated"):
    """The attempt ended well by its own word, and the job's gate looks at what it did."""

    gate: str
    result: str | None = None
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()


class GateChecked(Body, frozen=True, tag="gate_checked"):
    """Checks, evidence and claims of a look are known. `wrong`: the first of what was found."""

    gate: str
    round: int
    passed: bool
    wrong: tuple[str, ...] = ()
    reused: bool = False
    """Nothing had changed since an earlier look."""
    claimed: bool = False
    """The agent asked for it while it worked."""


class GateReviewed(Body, frozen=True, tag="gate_reviewed"):
    """A reviewer, or the judge, has said its word."""

    gate: str
    round: int
    by: str
    opinion: Opinion
    why: str = ""
    review: int | None = None
    """The job that it was."""
    judge: bool = False
    usage: tuple[Usage, ...] = ()
    """What it used: money of the job that it is about, too."""


class SentBack(Body, frozen=True, tag="sent_back"):
    """The gate refused the work, and its findings go back to the agent."""

    gate: str
    round: int
    reason: str
    by: str = "headway"
    fresh: bool = False
    """In a new session: another target goes on."""


GateBody = Gated | GateChecked | GateReviewed | SentBack
