"""What was thought of a job, and of what came of it."""

from __future__ import annotations

from engine.events.body import Body
from engine.model import RaceState


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


class RaceBegun(Body, frozen=True, tag="race_begun"):
    """Several targets were given one prompt."""

    race: int
    title: str
    jobs: tuple[int, ...]
    by: str


class RaceChecked(Body, frozen=True, tag="race_checked"):
    """Whether this job can win its race. `passed`: its checks; None where none was run."""

    race: int
    fit: bool
    passed: bool | None = None
    note: str = ""


class RaceMoved(Body, frozen=True, tag="race_moved"):
    """A race got on, was decided, or was given back its state before a pick."""

    race: int
    state: RaceState
    by: str
    winner: int | None = None
    why: str = ""


JudgementBody = Triaged | Routed | RaceBegun | RaceChecked | RaceMoved
