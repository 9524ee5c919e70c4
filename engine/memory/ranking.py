"""From what was found to what is told: scores, the order, no two that say the same, and a budget. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.config import Weights
from engine.memory.item import Item, Kind, Standing, scope_name, width
from engine.memory.judgement import Signals, Terms
from engine.memory.merging import gist, same_gist
from engine.memory.scoring import relevance_of, score
from engine.units import tokens

HEAD_TOKENS = 14  #: of the line's own words: its number, its kind, its date


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item with how well it fits."""

    item: Item
    text: float = 0.0
    """BM25."""
    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    item: Item
    terms: Terms


def rank(candidates: Sequence[Candidate], weights: Weights, now: int) -> list[Ranked]:
    """All of them, the best first. Of equals the one of the narrower scope, and then the newer one."""
    best = max((one.text for one in candidates), default=0.0)
    signals = {one.item.id: Signals(one.text / best if best > 0 else 0.0, one.cosine) for one in candidates}
    beside = _neighbours(candidates, signals, weights)
    shadowed = _shadowed(candidates)
    ranked = []
    for one in candidates:
        own = signals[one.item.id]
        whole = Signals(own.text, own.cosine, beside.get(one.item.id, 0.0), one.item.id in shadowed)
        ranked.append(Ranked(one.item, score(one.item, whole, weights, now)))
    return sorted(ranked, key=lambda one: (-one.terms.score, width(one.item.scope), -one.item.created_at, -one.item.id))


def _neighbours(candidates: Sequence[Candidate], signals: Mapping[int, Signals], weights: Weights) -> dict[int, float]:
    """The relevance of the pieces before and after each piece of a conversation, together."""
    pieces: dict[tuple[str | None, int], float] = {
        (one.item.transcript, one.item.position): relevance_of(signals[one.item.id], weights)
        for one in candidates
        if one.item.kind is Kind.EPISODE and one.item.transcript is not None and one.item.position is not None
    }
    return {
        one.item.id: pieces.get((one.item.transcript, one.item.position - 1), 0.0)
        + pieces.get((one.item.transcript, one.item.position + 1), 0.0)
        for one in candidates
        if one.item.position is not None and (one.item.transcript, one.item.position) in pieces
    }


def _shadowed(candidates: Sequence[Candidate]) -> set[int]:
    """Items about a subject of which a narrower scope knows something that holds."""
    narrowest: dict[str, int] = {}
    for one in candidates:
        if one.item.subject is not None and one.item.standing is Standing.ACTIVE:
            narrowest[one.item.subject] = min(narrowest.get(one.item.subject, 2), width(one.item.scope))
    return {
        one.item.id
        for one in candidates
        if one.item.subject is not None and width(one.item.scope) > narrowest.get(one.item.subject, 2)
    }


def diverse(ranked: Sequence[Ranked], most: int) -> list[Ranked]:
    """Without what an earlier one says as well. What holds is never left out for what does not.

    Once so many are left, the rest is only put behind them: nobody looks that far.
    """
    kept: list[Ranked] = []
    gists: list[tuple[list[str], frozenset[str]]] = []
    for number, one in enumerate(ranked):
        if len(kept) == most:
            return [*kept, *ranked[number:]]
        own = gist(one.item.text)
        words = frozenset(own)
        # All words of the shorter one of two twins are in the longer one: that is looked at first, as it is quick.
        near = (at for at, (_, others) in enumerate(gists) if words <= others or others <= words)
        twin = next((at for at in near if same_gist(own, gists[at][0])), None)
        if twin is None:
            kept.append(one)
            gists.append((own, words))
        elif kept[twin].terms.standing < 1 <= one.terms.standing:
            kept[twin], gists[twin] = one, (own, words)
    return kept


def within(ranked: Sequence[Ranked], budget: int, most: int, least: float) -> tuple[list[tuple[Ranked, int]], int]:
    """Those that are told, with their tokens; and how many more would have been, were there room for them."""
    told: list[tuple[Ranked, int]] = []
    left, room = 0, budget
    for one in ranked:
        if one.terms.score < least or not one.terms.standing:
            continue
        size = tokens(one.item.text) + HEAD_TOKENS
        if len(told) == most or size > room:
            left += 1
            continue
        told.append((one, size))
        room -= size
    return told, left


def reason(one: Ranked) -> str:
    """Why it is there, in a few words."""
    terms = one.terms
    found = [
        f"words {terms.text:.2f}" if terms.text else "",
        f"meaning {terms.vector:.2f}" if terms.vector else "",
        f"beside what fits {terms.neighbours:.2f}" if terms.neighbours else "",
        terms.why,
    ]
    return f"{', '.join(filter(None, found)) or 'weak'}; {scope_name(one.item.scope)}"
