"""Routes: where a job may run, what is done when a target cannot be used, and what was done. Frozen types, no I/O.

Times are milliseconds UTC and money is micro-dollars, as in `engine.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from engine.model.words import Failure, Grade


class RouteCause(StrEnum):
    """In which way a target cannot be used. A route has a policy for each."""

    LIMIT = "limit"
    """A rate limit of its account."""
    OVERLOAD = "overload"
    """Its provider does not serve now."""
    AUTH = "auth"
    """Its account is not let in, or cannot pay."""
    CONTEXT = "context"
    """The conversation does not fit into its model's window."""
    QUALITY = "quality"
    """What it made was refused by the job's gate, or could not be read."""


class RoutePolicy(StrEnum):
    """What a route does then."""

    WAIT = "wait"
    """Stay with the target, and try it again there."""
    REROUTE = "reroute"
    """Go on at the next target that can be used."""
    ASK = "ask"
    """Put up a card: the operator chooses."""
    STOP = "stop"
    """The job fails."""


#: Which failures of an attempt are meant by which cause. What is not here is none of a route's business.
CAUSES: Mapping[Failure, RouteCause] = {
    Failure.RATE_LIMITED: RouteCause.LIMIT,
    Failure.OVERLOADED: RouteCause.OVERLOAD,
    Failure.AUTH: RouteCause.AUTH,
    Failure.BILLING: RouteCause.AUTH,
    Failure.CONTEXT_OVERFLOW: RouteCause.CONTEXT,
    Failure.BAD_OUTPUT: RouteCause.QUALITY,
    Failure.GATE_REFUSED: RouteCause.QUALITY,
}

#: What ends by itself, so that waiting helps.
PASSING = frozenset({RouteCause.LIMIT, RouteCause.OVERLOAD})


class WindowState(StrEnum):
    """What is known of the rate limits of a target's account."""

    OPEN = "open"
    WARNING = "warning"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Expected(Struct, frozen=True):
    """What one more job of a sort is expected to cost, and how many earlier ones say so."""

    micros: int
    basis: int = 0
    grade: Grade = Grade.ESTIMATED


class TrackRecord(Struct, frozen=True):
    """How the newest attempts of a sort ended on a target."""

    succeeded: int = 0
    ended: int = 0

    @property
    def share(self) -> float | None:
        return self.succeeded / self.ended if self.ended else None


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target as a route sees it at a moment."""

    target: str
    window: WindowState = WindowState.UNKNOWN
    used: float | None = None
    """Share of its fullest window."""
    closed: str = ""
    """Why nothing may start on it now; empty where something may."""
    until: int | None = None
    """When that ends, where it is known."""
    breaker: str = ""
    """What its breaker limits; empty where nothing."""
    lacks: str = ""
    """What it cannot do that the job needs; empty where it can all."""
    left: str = ""
    """Why the job does not go back to it yet."""
    expected: Expected | None = None
    added: int | None = None
    """What a move to it adds to the cost at the route's first target; None where that is not known."""
    record: TrackRecord = TrackRecord()
    here: bool = False
    """The job is on it."""

    @property
    def usable(self) -> bool:
        return not (self.closed or self.lacks or self.left)


class Rerouting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One move of a job from a target to another."""

    at: int
    was: str
    to: str
    by: str
    """`route NAME`, or the operator."""
    cause: RouteCause | None = None
    """None where the operator wanted it."""
    reason: str = ""
    until: int | None = None
    """When what was left is expected to serve again."""
    added: int | None = None
    """What the move was expected to add to the cost at the route's first target; None where nobody knew."""
    attempt: int | None = None
    """The attempt because of whose end it was made; None before the first, or by the operator."""


class Foreseen(Struct, frozen=True):
    """What a route would do about a job if its target could not be used in some way, as things are now."""

    cause: RouteCause
    policy: RoutePolicy | None
    """None: what happens without a route."""
    what: str


class RouteChoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which route a job takes and why, how its targets stand, and what would be done."""

    route: str | None
    why: list[str] = field(default_factory=list)
    """What decided it, in the order in which it was looked at."""
    target: str
    """The one that it is on, or would begin on."""
    targets: list[Standing] = field(default_factory=list)
    foreseen: list[Foreseen] = field(default_factory=list)
    moves: list[Rerouting] = field(default_factory=list)
    spent: int = 0
    """What its moves so far were expected to add."""
    most: int | None = None
    """What they may add; None for no bound."""


class RouteStatus(Struct, frozen=True, kw_only=True):
    """One route of the settings, and how it stands."""

    name: str
    matches: list[str]
    """What makes a job take it, in words; empty where it has to be named."""
    policies: dict[RouteCause, RoutePolicy]
    targets: list[Standing]
    options: list[str] = field(default_factory=list)
    """Patience, cost and needs, in words."""
    jobs: int = 0
    """Unfinished jobs that take it."""
    moves: int = 0
    """Moves that it made within a day."""


class RouteQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A job that might be submitted: body of `POST /v1/routes/explain`."""

    prompt: str = ""
    project: str | None = None
    kind: str | None = None
    tags: list[str] = field(default_factory=list)
    triage: str | None = None
    route: str | None = None
