"""Finding what is known: two pools of candidates, what belongs to them, and their order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.memory.archive import Archive
from engine.memory.item import Item, Kind, Standing
from engine.memory.ranking import Candidate, Ranked, diverse, rank
from engine.memory.terms import QUESTION_CHARACTERS, terms_of

SUCCESSORS = 8  #: steps from what was superseded to what holds


@dataclass(frozen=True, slots=True)
class Found:
    """What fits a question, the best first."""

    ranked: list[Ranked]
    model: str | None
    without: str = ""


def find(archive: Archive, question: str, scopes: Collection[str], now: int, most: int) -> Found:
    """Everything that may fit, scored; of the first so many, no two say the same. No scopes are all of them.

    Raises `StorageError`.
    """
    store, settings = archive.store, archive.settings
    text = dict(store.by_text(terms_of(question), scopes, settings.pool))
    vector, without = archive.vector_of(question[:QUESTION_CHARACTERS])
    near = {}
    if vector is not None:
        near = dict(store.by_vector(vector, archive.model, scopes, settings.pool))
    items = store.get(text.keys() | near.keys())
    items |= {one.id: one for one in _belonging(archive, items, scopes)}
    cosines = dict(near)
    missing = items.keys() - near.keys()
    if vector is not None and missing:
        cosines |= {number: float(own @ vector) for number, own in store.vectors(missing, archive.model).items()}
    candidates = [
        Candidate(one, text.get(number, 0.0), cosines.get(number)) for number, one in items.items() if one.found
    ]
    ranked = diverse([one for one in rank(candidates, settings.weights, now) if one.terms.score > 0], most)
    return Found(ranked, archive.model if vector is not None else None, without)


def _belonging(archive: Archive, items: dict[int, Item], scopes: Collection[str]) -> list[Item]:
    """The pieces beside what was found of a conversation, and what has taken the place of what was superseded."""
    beside = archive.store.beside([one for one in items.values() if one.kind is Kind.EPISODE])
    added = [one for one in beside if one.id not in items]
    wanted = {one.superseded_by for one in items.values() if one.standing is Standing.SUPERSEDED}
    for _ in range(SUCCESSORS):
        further = archive.store.get({one for one in wanted if one is not None and one not in items})
        if not further:
            break
        added += further.values()
        wanted = {one.superseded_by for one in further.values() if one.standing is Standing.SUPERSEDED}
    return [one for one in added if not scopes or one.scope in scopes]
