"""The interface of an archive. Its backends pass one suite of tests; nothing above it knows which one is there.

All of it blocks, and is called from one thread: that of `engine.memory.memory`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from engine.memory.item import Item, Kind, Standing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    """Of length 1, so that a product of two is their cosine."""


class Backend(StrEnum):
    """Where an archive is kept."""

    SQLITE = "sqlite"
    LANCEDB = "lancedb"


@dataclass(frozen=True, slots=True)
class Which:
    """Items of a list. Empty is any."""

    scopes: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    standings: tuple[Standing, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """An item's vector, and what made it."""

    id: int
    model: str
    vector: Vector


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is."""

    items: int
    embedded: int
    """Of them, with a vector of the model in use."""


ANY = Which()


class MemoryStore(Protocol):
    """Items by id, found by text and by vector. Raises `StorageError` for what cannot be read or written."""

    @property
    def backend(self) -> Backend: ...

    def take(self, count: int) -> int:
        """The first of so many new ids, which were never given before."""

    def reserve(self, highest: int) -> None:
        """Give no id up to this one any more."""

    def highest(self) -> int:
        """The highest id of an item that is there; 0 where there is none."""

    def put(self, items: Sequence[Item]) -> None:
        """Write items, new ones and those that are there, durably. A text that has changed loses its vector."""

    def get(self, ids: Collection[int]) -> dict[int, Item]: ...

    def page(self, after: int, limit: int, which: Which = ANY) -> list[Item]:
        """Items with a higher id than that, in the order of their ids."""

    def newest(self, limit: int, which: Which = ANY) -> list[Item]:
        """Items in the order of their last change, the newest first."""

    def by_text(self, terms: Sequence[str], scopes: Collection[str], limit: int) -> list[tuple[int, float]]:
        """Items that have any of the terms, with their BM25 (more is better), the best first. No scopes are all."""

    def by_vector(self, vector: Vector, model: str, scopes: Collection[str], limit: int) -> list[tuple[int, float]]:
        """Items by the cosine of their vectors, the nearest first, of those of a model."""

    def vectors(self, ids: Collection[int], model: str) -> dict[int, Vector]: ...

    def beside(self, items: Sequence[Item]) -> list[Item]:
        """The pieces right before and right after pieces of transcripts."""

    def unembedded(self, model: str, limit: int) -> list[Item]:
        """Items that can be found and have no vector of this model."""

    def embed(self, embedded: Sequence[Embedded]) -> None:
        """Give items their vectors. Those that are gone meanwhile are left out."""

    def forget(self, ids: Collection[int]) -> int:
        """Remove items so that nothing of them is left in the files. Returns how many there were."""

    def clear(self) -> None:
        """Remove all items, as `forget` does. What the ledger knows of them stays."""

    def size(self, model: str) -> Size: ...

    def problem(self) -> str:
        """What is spoilt in it and cannot be made anew from the rest; empty where it is whole."""

    def mend(self) -> list[str]:
        """Make anew what can be: indexes and caches that are spoilt. Returns what was."""

    def tidy(self) -> None:
        """What is done once in a while."""

    def close(self) -> None: ...


def pages(store: MemoryStore, limit: int = 1_000, which: Which = ANY) -> Iterator[list[Item]]:
    """All items, so many at a time, in the order of their ids."""
    after = 0
    while found := store.page(after, limit, which):
        yield found
        after = found[-1].id
