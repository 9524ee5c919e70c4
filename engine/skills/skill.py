"""The nouns: a skill as it was found, and a skill as an attempt was given it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

FILE = "SKILL.md"
NAME_LIMIT = 64  #: characters, by the format's specification
DESCRIPTION_LIMIT = 1_024
COMPATIBILITY_LIMIT = 500
CHARACTERS_A_TOKEN = 4  #: of English text, as the models' own tools estimate it


class Source(StrEnum):
    """Whose folder a skill was found in. The first of the same name wins."""

    PROJECT = "project"
    USER = "user"
    SHIPPED = "shipped"


class Skill(Struct, frozen=True, kw_only=True):
    """A folder with a SKILL.md."""

    name: str
    description: str
    path: str
    """Its SKILL.md."""
    source: Source = Source.SHIPPED
    tags: list[str] = field(default_factory=list)
    """From `metadata: tags:`, with commas between them."""
    tokens: int = 0
    """Of its SKILL.md, about."""
    files: int = 0
    sha256: str = ""
    """Of all its files, their names and which of them are programs."""
    problem: str | None = None
    """Why no agent can be given it as it is."""
    warnings: list[str] = field(default_factory=list)
    """What the format does not allow and agents mostly take."""
    shadows: list[str] = field(default_factory=list)
    """The SKILL.md of those with its name that it stands before."""

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


class How(StrEnum):
    """How an attempt came to a skill."""

    NATIVE = "native"
    """In a folder of its workspace where its agent looks by itself."""
    PROMPT = "prompt"
    """As text of its prompt."""
    OWN = "own"
    """The project, or the user's own agent, has one of that name, and that one stands."""
    LEFT_OUT = "left_out"


class Given(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A skill that was chosen for an attempt, and what became of it."""

    name: str
    how: How
    reason: str
    """Why it was chosen."""
    source: Source = Source.SHIPPED
    sha256: str = ""
    tokens: int = 0
    score: float | None = None
    """Of what matched it by itself."""
    note: str = ""
    """Why it was left out, or whose stands in its place."""
    used: bool | None = None
    """The agent's events show that it was read; None where they could not, as it was told in the prompt."""


def tokens(text: str) -> int:
    """About how many tokens a text takes."""
    return -(-len(text) // CHARACTERS_A_TOKEN)
