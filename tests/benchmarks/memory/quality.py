"""How well memory finds what answers a question, on sets that are made here, by the code that jobs are told by."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine.config import MemorySettings, Weights
from engine.memory.archive import Archive
from engine.memory.finding import find
from engine.memory.moving import move
from engine.memory.store import Backend
from engine.memory.terms import terms_of
from tests.benchmarks.memory.sets import NOW, MadeSet, Question

Search = Callable[[str], list[int]]

PLAIN = Weights(
    base=1.0, recency=0.0, importance=0.0, trust=0.0, superseded=1.0, due=1.0
)  #: relevance, and nothing else
FLAGGED = replace(PLAIN, superseded=0.5)


@contextlib.contextmanager
def filled(made: MadeSet, backend: Backend = Backend.SQLITE) -> Iterator[Archive]:
    """An archive with a set in it, embedded by the real embedder."""
    with tempfile.TemporaryDirectory(prefix="headway-memory-") as place:
        archive = Archive.open(Path(place), MemorySettings())
        try:
            if backend is not Backend.SQLITE:
                move(archive, backend, 60)
            archive.store.put(made.items)
            while archive.embed_some():
                pass
            yield archive
        finally:
            archive.close()


def by(archive: Archive, weights: Weights, most: int = 10) -> Search:
    """The whole path, with these weights."""

    def search(question: str) -> list[int]:
        archive.settings = replace(archive.settings, weights=weights)
        return [one.item.id for one in find(archive, question, (), NOW, most).ranked[:most]]

    return search


def words_alone(archive: Archive, most: int = 10) -> Search:
    return lambda question: [number for number, _ in archive.store.by_text(terms_of(question), (), most)]


def vectors_alone(archive: Archive, most: int = 10) -> Search:
    def search(question: str) -> list[int]:
        vector, why = archive.vector_of(question)
        assert vector is not None, why
        return [number for number, _ in archive.store.by_vector(vector, archive.model, (), most)]

    return search


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of the questions."""

    first: float
    """Answered by what stands first,"""
    ten: float
    """or by one of the first ten."""
    wrong: float = 0.0
    """What stands first is what the answer has superseded."""


def measured(search: Search, questions: Sequence[Question]) -> Found:
    first = ten = wrong = 0
    for question in questions:
        found = search(question.text)
        first += bool(found) and found[0] in question.answers
        ten += bool(question.answers & set(found[:10]))
        wrong += bool(found) and found[0] + 1 in question.answers
    count = len(questions)
    return Found(first / count, ten / count, wrong / count)


def ablations(weights: Weights) -> dict[str, Weights]:
    """The score without each of its terms."""
    return {
        "whole": weights,
        "without words": replace(weights, text=0.0),
        "without meaning": replace(weights, vector=0.0),
        "without recency": replace(weights, recency=0.0, base=weights.base + weights.recency),
        "without importance": replace(weights, importance=0.0, base=weights.base + weights.importance),
        "without trust": replace(weights, trust=0.0, base=weights.base + weights.trust),
        "without standing": replace(weights, superseded=1.0, due=1.0),
        "without neighbours": replace(weights, neighbour=0.0),
        "relevance alone": PLAIN,
    }
