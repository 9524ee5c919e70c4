"""The nouns of what a job is told: its parts, what each takes, why it is there, and what was left out."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Part(StrEnum):
    """What a job is told, in the order in which it is."""

    PERSONA = "persona"
    RULES = "rules"
    CORE = "core"
    """The operator's own notes."""
    SKILLS = "skills"
    RECALLED = "recalled"
    """What memory has that fits."""
    HAND_OFF = "hand_off"
    """What was done before."""
    FINDINGS = "findings"
    """What a gate or a reviewer sent back."""
    TASK = "task"


class Place(StrEnum):
    """Where it is told."""

    SYSTEM = "system"
    """At the end of the agent's system prompt."""
    FILE = "file"
    """In a file of the workspace that the agent reads by itself, for as long as the attempt lasts."""
    PROMPT = "prompt"


class Detail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing of a part: a skill, something that was recalled, a core file."""

    what: str
    tokens: int
    reason: str = ""
    item: int | None = None
    """The number of something that is remembered,"""
    score: float | None = None
    """and its score."""


class Piece(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part as it is told."""

    part: Part
    tokens: int
    """About."""
    reason: str
    place: Place = Place.PROMPT
    where: str = ""
    """The file, or the option."""
    details: list[Detail] = field(default_factory=list)
    text: str | None = None
    """Only before a run: afterwards the run directory has what was told."""


class Omitted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was left out, and why."""

    part: Part
    what: str
    why: str
    tokens: int = 0


class Context(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that an attempt is told, in its order."""

    budget: int
    """Tokens, for everything but the task."""
    tokens: int
    """Of everything but the task."""
    pieces: list[Piece] = field(default_factory=list)
    left_out: list[Omitted] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    """What it has to do without, as something is wrong with it."""
    model: str | None = None
    """What memory compared meanings with; None where only words were."""

    def piece(self, part: Part) -> Piece | None:
        return next((one for one in self.pieces if one.part is part), None)

    @property
    def items(self) -> list[int]:
        """The numbers of what was recalled."""
        recalled = self.piece(Part.RECALLED)
        return [one.item for one in recalled.details if one.item is not None] if recalled is not None else []


class Briefing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an attempt of a job was told, or what the next one would be."""

    job: int
    target: str
    context: Context
    attempt: int | None = None
    """None: it is what the next one would be told now."""
    run_dir: str = ""
    """Where what was told stands, word for word."""
