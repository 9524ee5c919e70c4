"""How skills do: the count of each, and what was chosen for one job."""

from __future__ import annotations

from msgspec import Struct, field

from engine.skills.skill import Given, How


class SkillCount(Struct, frozen=True, kw_only=True):
    """One skill over all attempts that the database still has."""

    name: str
    given: int
    """Attempts that it was given to, in whatever way."""
    told: int
    """Of these, in the prompt."""
    own: int
    """Of these, where the project's or the user's own of that name stood."""
    left_out: int
    """Chosen, and not given."""
    used: int
    """The agent's events show that it was read. What was told in the prompt is not counted here."""
    succeeded: int
    failed: int
    used_succeeded: int
    last_at: int
    """Milliseconds UTC."""


class SkillUse(Struct, frozen=True, kw_only=True):
    """One attempt that a skill was chosen for."""

    job: int
    attempt: int
    """Its number among those of the job."""
    at: int
    """When it was made, milliseconds UTC."""
    title: str
    how: How
    used: bool | None
    succeeded: bool | None
    """None while it runs."""


class SkillsOfJob(Struct, frozen=True, kw_only=True):
    """What was chosen for a job."""

    job: int
    attempts: dict[int, list[Given]] = field(default_factory=dict)
    """By the number of the attempt."""
    ahead: list[Given] = field(default_factory=list)
    """What its next attempt would be given now; for one that has ended, nothing."""
