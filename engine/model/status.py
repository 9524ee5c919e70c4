"""The engine at a glance, and what limits its starts."""

from __future__ import annotations

from msgspec import Struct, field

from engine.model.words import UNFINISHED, Failure, Grade, State


class Counts(Struct, frozen=True, kw_only=True):
    """How many jobs stand where. `held` counts unfinished jobs under a hold; they are in their state's count too."""

    blocked: int = 0
    ready: int = 0
    running: int = 0
    gating: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    held: int = 0

    @property
    def unfinished(self) -> int:
        return self.blocked + self.ready + self.running + self.gating


class Status(Struct, frozen=True, kw_only=True):
    """One glance at the engine: what the status line shows."""

    version: str
    pid: int
    home: str
    started_at: int
    now: int
    seq: int
    """The newest event; a subscriber starts after it."""
    counts: Counts
    cards: int = 0
    """Decisions that wait for the operator."""
    slots: int
    held_all: str | None
    """Who holds everything, if anyone does."""
    draining: bool
    spend_today_micros: int
    spend_today_grade: Grade
    theme: str | None = None
    keymap: str | None = None
    keys: dict[str, str] = field(default_factory=dict)
    listens: str | None = None
    """Where it is reached over the network: `https://HOST:PORT`."""


class Readiness(Struct, frozen=True):
    """Whether the engine takes work, and if not, why."""

    ready: bool
    why: str = ""


class Batch(Struct, frozen=True, kw_only=True):
    """Jobs that were submitted together under a name, and how far they are."""

    id: int
    name: str
    at: int
    counts: dict[State, int] = field(default_factory=dict)
    follow_up: int | None = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(n for state, n in self.counts.items() if state not in UNFINISHED)


class Cap(Struct, frozen=True, kw_only=True):
    """How many attempts may run at once in a scope, and how many do."""

    scope: str
    limit: int | None
    running: int
    source: str
    """`headway.yaml`, or who set it and when."""


class Breaker(Struct, frozen=True, omit_defaults=True):
    """How a target that keeps failing in one way is treated. `engine.dispatch.breaker` has the rules."""

    target: str
    failure: Failure | None = None
    strikes: tuple[int, ...] = ()
    """When it failed so, within the last hour and since it last went well."""
    until: int | None = None
    """Nothing starts before."""
    opened: int = 0
    """How many times in a row it has been paused."""
    allowed: int | None = None
    """After a pause: how many attempts may run at once. None where nothing is limited."""
    others: dict[Failure, tuple[int, ...]] = field(default_factory=dict)
    """When it failed in other ways within the last hour."""
    recent: tuple[tuple[int, Failure | None], ...] = ()
    """How the attempts of the last minute ended; None for one that went well. Kept from the first failure on."""
