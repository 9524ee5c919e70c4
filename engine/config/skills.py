"""What headway.yaml says of skills."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class SkillSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How skills are chosen for jobs that name none."""

    match: bool = False
    """Those whose words and tags fit a job are given to it."""
    most: Annotated[int, Meta(ge=0, le=20)] = 4
    """At most so many of them."""
    tokens: Annotated[int, Meta(ge=0, le=100_000)] = 12_000
    """What the texts of a job's skills may come to; in a prompt no more is told."""


class ProjectSkills(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is different in one project."""

    trusted: bool = False
    """The skills in its own folders may be given to agents."""
    match: bool | None = None
    always: list[Name] = field(default_factory=list)
    """Given to each of its jobs."""
