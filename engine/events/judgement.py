"""What was thought of a job, and of what came of it."""

from __future__ import annotations

from engine.events.body import Body


class Triaged(Body, frozen=True, tag="triaged"):
    """A job has another class than it was submitted with: the operator, or a model that was asked, said so."""

    by: str
    triage: str | None = None
    was: str | None = None
    why: str = ""


class Routed(Body, frozen=True, tag="routed"):
    """A job that has not begun takes another route, or none, because of its class, and begins at another target."""

    by: str
    agent: str
    model: str | None = None
    account: str | None = None
    route: str | None = None
    why: str = ""
    was: str = ""
    """The target before, as it is written."""


JudgementBody = Triaged | Routed
