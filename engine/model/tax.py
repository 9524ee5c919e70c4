"""The autonomy tax: what of all that was spent went into the system's dealings with itself."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from engine.model.words import Failure, Grade


class Part(StrEnum):
    """What became of a piece of what was spent. `docs/tax.md` says when it is which."""

    USEFUL = "useful"
    RETRIES = "retries"
    """Attempts whose work was left, and that were begun anew."""
    FAILED = "failed"
    """All that was spent on jobs that have failed."""
    CANCELLED = "cancelled"
    """All that was spent on jobs that were cancelled."""
    HAND_OFFS = "hand_offs"
    """What new sessions were told of earlier ones."""
    MEMORY = "memory"
    """What jobs were told of memory, and all that was spent on reading ended ones for it."""
    SKILLS = "skills"
    """What their prompts said of skills. What an agent reads by itself is its own work."""
    PERSONAS = "personas"
    """Who they were told to be, and by which rules."""
    TRIAGE = "triage"
    """All that was spent on asking a model which class a job is of."""
    REVIEW = "review"
    """All that was spent on judges of others' work."""


#: What is work that was not done well, or not once.
VAIN = frozenset({Part.RETRIES, Part.FAILED, Part.CANCELLED})


class Spent(Struct, frozen=True, kw_only=True):
    """Attempts, tokens of every kind, micro-dollars and running time in milliseconds."""

    attempts: int = 0
    tokens: int = 0
    cost_micros: int | None = None
    """None where nothing is known."""
    grade: Grade = Grade.REPORTED
    """The worst of its parts."""
    ms: int = 0


class Toll(Struct, frozen=True, kw_only=True):
    """What one class of failure has cost."""

    failure: Failure | None
    """None: cancelled or parked by the operator, or ended well for a job that then came to nothing."""
    attempts: int
    """That ended so."""
    vain: Spent
    """Those among them whose work was left or came to nothing."""
    waited_ms: int
    """From the end of each until the next attempt of its job began."""


class Slice(Struct, frozen=True, kw_only=True):
    """All that was spent, and the tax in it, of one day or one project."""

    name: str
    """A day as `2026-11-02`, or a project's directory; empty for none."""
    all: Spent
    tax: Spent


class Tax(Struct, frozen=True, kw_only=True):
    """What was spent since a time, split. `useful` and the `parts` together are `all`."""

    since: int
    project: str | None
    all: Spent
    useful: Spent
    tax: Spent
    """The sum of the `parts`."""
    parts: dict[Part, Spent] = field(default_factory=dict)
    """Only what was met: what is not in here was not measured as nothing, there was none of it."""
    failures: list[Toll] = field(default_factory=list)
    days: list[Slice] = field(default_factory=list)
    projects: list[Slice] = field(default_factory=list)
    pruned: Spent | None = None
    """Spent by jobs that were pruned: of these only the sum is known, and it is not in `all`."""
