"""Items, archives and vectors for the tests of memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import Embedder, KeyReference, MemorySettings, Settings
from engine.memory.archive import Archive
from engine.memory.item import DAY_MS, Item, Kind, Standing
from engine.memory.memory import Memory
from engine.redact import Secrets

NOW = 1_790_000_000_000

WORDS_ONLY = MemorySettings(embedder=Embedder.NONE)


def item(number: int, text: str, **given: object) -> Item:
    """A fact that holds everywhere, said ten days ago."""
    usual: dict[str, object] = {
        "scope": "global",
        "kind": Kind.FACT,
        "created_at": NOW - 10 * DAY_MS,
        "updated_at": NOW - 10 * DAY_MS,
        "standing": Standing.ACTIVE,
    }
    return Item(id=number, text=text, **{**usual, **given})  # type: ignore[arg-type]


def vector(*numbers: float, dim: int = 8) -> NDArray[np.float32]:
    """A vector of length 1 that begins with these numbers."""
    whole = np.zeros(dim, dtype=np.float32)
    whole[: len(numbers)] = numbers
    return whole / np.linalg.norm(whole)


def archive(home: Path, settings: MemorySettings | None = None) -> Archive:
    home.mkdir(mode=0o700, exist_ok=True)
    return Archive.open(home, settings or MemorySettings())


def memory(
    home: Path, settings: MemorySettings | None = None, secrets: Secrets | None = None, **given: object
) -> Memory:
    home.mkdir(mode=0o700, exist_ok=True)
    whole = Settings(memory=settings or MemorySettings(), **given)  # type: ignore[arg-type]
    return Memory(home, whole, secrets or Secrets(), no_key)


async def no_key(reference: KeyReference) -> str:
    raise AssertionError("no test of memory has a key to be asked for")
