"""How well a thing fits a question, and what that comes to, term by term."""

from __future__ import annotations

from msgspec import Struct


class Signals(Struct, frozen=True):
    """How a thing was found: against the best of the pool, and by itself."""

    text: float = 0.0
    """Its BM25 as a share of the best one's."""
    cosine: float | None = None
    """To the question; None where one of both has no vector."""
    neighbours: float = 0.0
    """The relevance of the pieces of conversation beside it, together."""
    shadowed: bool = False
    """A narrower scope knows something about the same subject."""


class Terms(Struct, frozen=True, kw_only=True):
    """All that a score is made of, so that it can be shown."""

    score: float
    relevance: float
    text: float
    vector: float | None
    neighbours: float
    recency: float
    importance: float
    trust: float
    modulation: float
    standing: float
    why: str = ""
    """What lowers it: superseded, expired, due, shadowed."""
