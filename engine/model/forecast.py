"""What is to be expected: of each account's limits, and of all that is in the queue."""

from __future__ import annotations

from msgspec import Struct, field

from engine.model.words import Grade


class Burn(Struct, frozen=True, kw_only=True):
    """How fast a window of an account is being used up, and when it will be at this rate."""

    account: str
    """As `claude@work`."""
    window: str
    used: float
    """Share of the window, 0 to 1, as last read."""
    seen_at: int
    resets_at: int | None = None
    rate: float | None = None
    """Share of the window in an hour, over the time since `since`; None where that cannot be told."""
    since: int | None = None
    wall: int | None = None
    """When it is used up at this rate, milliseconds UTC; None where it is not before its reset."""
    why: str = ""
    """Why there is no wall, or no rate."""


class Pace(Struct, frozen=True, kw_only=True):
    """What an account has used of late."""

    account: str
    hours: float
    """The time that it is taken over."""
    tokens: int
    cost_micros: int | None
    grade: Grade


class Through(Struct, frozen=True, kw_only=True):
    """When all that is in the queue will be done, and what it will cost: of many games played, the middle and p90."""

    jobs: int
    finish: int | None = None
    """Of those that come to an end by themselves, milliseconds UTC."""
    finish_late: int | None = None
    cost_micros: int | None = None
    """Of the jobs whose price is known."""
    cost_late_micros: int | None = None
    games: int = 0
    """How often the queue was played through."""
    borrowed: int = 0
    """Jobs without a history of their own, which were taken to be like any other."""
    unpriced: int = 0
    """Jobs of which nobody knows what they cost. Those of agents that cost nothing are not among them."""
    stuck: int = 0
    """Jobs that never come to an end in some game: held, behind such, or late for their deadline."""
    whole: bool = True
    """Everything that waits was looked at; else only the first in the queue."""
    why: str = ""


class Forecast(Struct, frozen=True, kw_only=True):
    """A look ahead. Times are milliseconds UTC, money is micro-dollars."""

    now: int
    through: Through
    burns: list[Burn] = field(default_factory=list)
    paces: list[Pace] = field(default_factory=list)
