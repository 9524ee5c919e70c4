"""What is recalled for a question, within a budget: the core files whole, then the best of the archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from engine.memory import core
from engine.memory.answers import Part, Recalled
from engine.memory.archive import Archive
from engine.memory.finding import Found, find
from engine.memory.item import Item
from engine.memory.ranking import HEAD_TOKENS, reason, within
from engine.units import tokens


def recall(
    archive: Archive, question: str, scopes: Sequence[str], budget: int, redact: Callable[[str], str], now: int
) -> Recalled:
    """What is told to a job. The core files come first and are not cut for the budget: their lines are capped."""
    settings = archive.settings
    fixed = core.parts(archive.home, scopes, settings.core_lines, redact)
    taken = sum(one.tokens for one in fixed)
    # Some that are too long for the budget may be passed over.
    found = find(archive, question, scopes, now, 2 * settings.most)
    chosen, left = within(found.ranked, max(0, budget - taken), settings.most, settings.least)
    parts = [
        Part(item=_told(one.item, redact), tokens=size, reason=reason(one), terms=one.terms) for one, size in chosen
    ]
    return Recalled(
        question=question,
        scopes=list(scopes),
        parts=parts,
        core=fixed,
        tokens=taken + sum(one.tokens for one in parts),
        model=found.model,
        without=found.without,
        left=left,
    )


def search(archive: Archive, question: str, scopes: Sequence[str], limit: int, now: int) -> Recalled:
    """What fits a question, whatever it scores: for a person who looks."""
    found: Found = find(archive, question, scopes, now, limit)
    parts = [
        Part(item=one.item, tokens=tokens(one.item.text) + HEAD_TOKENS, reason=reason(one), terms=one.terms)
        for one in found.ranked[:limit]
    ]
    return Recalled(
        question=question,
        scopes=list(scopes),
        parts=parts,
        tokens=sum(one.tokens for one in parts),
        model=found.model,
        without=found.without,
        left=len(found.ranked) - len(parts),
    )


def _told(item: Item, redact: Callable[[str], str]) -> Item:
    """A key may have become known only after the item was written."""
    return replace(item, text=redact(item.text))
