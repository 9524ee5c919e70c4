"""A home's archive, opened: its backend, its ledger, its embedder. Blocks, and is used from one thread."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import MemorySettings
from engine.errors import HeadwayError
from engine.memory import files
from engine.memory.database import Ledger, open_database
from engine.memory.embedding.embedder import BATCH, EmbeddingError, TextEmbedder, chosen, model_of
from engine.memory.item import Item
from engine.memory.sqlite import SqliteStore
from engine.memory.store import Backend, Embedded, MemoryStore

if TYPE_CHECKING:
    from engine.memory.store import Vector

logger = logging.getLogger(__name__)

BACKEND = "backend"  #: the word of the ledger for where the items are
MOVING = "moving"  #: and for where they are being copied to
CHECK_BYTES = 64 << 20  #: up to here the index is looked through at each opening, in some tenths of a second
AT_ONCE = 64  #: items that are embedded with their writing; more of them are by and by


class Archive:
    """Made by `Archive.open`."""

    def __init__(self, home: Path, settings: MemorySettings, connection: sqlite3.Connection, key: str | None) -> None:
        self.home = home
        self.settings = settings
        self.ledger = Ledger(connection, home / files.DATABASE)
        self._connection = connection
        self._key = key
        self._embedder: TextEmbedder | None = None
        self._asked = False
        self.without = ""
        """Why there are no vectors, where there should be."""
        self.store = self.backend(Backend(self.ledger.word(BACKEND) or Backend.SQLITE))
        self._clear_leftovers()

    @classmethod
    def open(cls, home: Path, settings: MemorySettings, key: str | None = None) -> Archive:
        """Open or create. `key`: of the endpoint that embeds. Raises `RefusedError` or `StorageError`."""
        folder = home / files.FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        connection = open_database(home / files.DATABASE)
        try:
            opened = cls(home, settings, connection, key)
            opened._look_through()
            return opened
        except BaseException:
            connection.close()
            raise

    def _look_through(self) -> None:
        """Make anew what is spoilt, where that is quick to see: an index may only find less, and not complain."""
        if (self.home / files.DATABASE).stat().st_size <= CHECK_BYTES:
            for what in self.store.mend():
                logger.warning("memory: %s was spoilt and was made anew", what)

    def backend(self, kind: Backend) -> MemoryStore:
        """Open one, the current or another. Raises `RefusedError` where its extra is not installed."""
        if kind is Backend.SQLITE:
            return SqliteStore(self._connection, self.home / files.DATABASE, self.home / files.FOLDER)
        from engine.memory.lance import LanceStore

        return LanceStore(self.home / files.LANCE, self.ledger)

    def _clear_leftovers(self) -> None:
        """What a migration that was killed at its very end did not come to remove."""
        if self.ledger.word(MOVING):
            return
        if self.store.backend is Backend.SQLITE:
            shutil.rmtree(self.home / files.LANCE, ignore_errors=True)
        elif self._connection.execute("SELECT 1 FROM items LIMIT 1").fetchone():
            self.backend(Backend.SQLITE).clear()

    # ---- vectors

    @property
    def model(self) -> str:
        """The name of the vectors in use; empty where there are none. Loads nothing."""
        return model_of(self.settings)

    def embedder(self) -> TextEmbedder | None:
        """Loaded when it is asked for the first time."""
        if not self._asked:
            self._asked = True
            self._embedder, self.without = chosen(self.settings, self._key)
            if self.without:
                logger.warning("memory: %s", self.without)
        return self._embedder

    def vector_of(self, text: str) -> tuple[Vector | None, str]:
        """The vector of a question, or why there is none."""
        embedder = self.embedder()
        if embedder is None:
            return None, self.without
        try:
            vector = embedder.embed([text])[0]
        except EmbeddingError as error:
            return None, error.message
        return (vector, "") if vector.any() else (None, "")

    def embed(self, items: Sequence[Item]) -> int:
        """Give items their vectors. Returns how many got one. Raises `EmbeddingError`."""
        embedder = self.embedder()
        if embedder is None or not items:
            return 0
        vectors = embedder.embed([one.words for one in items])
        self.store.embed([Embedded(one.id, embedder.model, vector) for one, vector in zip(items, vectors, strict=True)])
        return len(items)

    def embed_new(self, items: Sequence[Item]) -> None:
        """The same for what was just written, where it is not too much at once; the rest is done by and by."""
        if len(items) <= AT_ONCE:
            try:
                self.embed([one for one in items if one.found])
            except EmbeddingError as error:
                logger.warning("memory: %s; it is tried again", error.message)

    def embed_some(self) -> int:
        """One batch of what has no vector of this model yet: new items, and all of them after the model has changed."""
        model = self.model
        if not model:
            return 0
        waiting = self.store.unembedded(model, BATCH)
        return self.embed(waiting) if waiting else 0

    # ---- the end

    def close(self) -> None:
        try:
            self.store.close()
        except HeadwayError as error:
            logger.warning("memory: %s", error.message)
        finally:
            self._connection.close()
