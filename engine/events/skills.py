"""What an attempt was given of skills."""

from __future__ import annotations

from engine.events.body import Body
from engine.skills.skill import Given


class SkillsGiven(Body, frozen=True, tag="skills_given"):
    """The skills that were chosen for an attempt: those that it has, and those that it had to do without."""

    given: tuple[Given, ...]


class SkillsUsed(Body, frozen=True, tag="skills_used"):
    """The agent's events show that it read these."""

    names: tuple[str, ...]


SkillBody = SkillsGiven | SkillsUsed
