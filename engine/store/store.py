"""The store: the one door to the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engine import events as log
from engine.clock import now_ms
from engine.store.reader import Reader
from engine.store.schema import open_writer
from engine.store.writer import Transaction, Writer

T = TypeVar("T")

FILE = "headway.db"


class Store:
    """One writer, many readers, over `headway.db` in a home. `publish` hears of every committed event, in order."""

    def __init__(self, reader: Reader, writer: Writer, clock: Callable[[], int]) -> None:
        self.read = reader
        self._writer = writer
        self._clock = clock

    @classmethod
    async def open(
        cls,
        home: Path,
        publish: Callable[[list[log.Event]], None] = lambda events: None,
        clock: Callable[[], int] = now_ms,
        clean: Callable[[str], str] | None = None,
    ) -> Store:
        """Open or create. `clean` takes secrets out of texts. Raises `RefusedError` or `StorageError`: what to do."""
        path = home / FILE
        writer = Writer(open_writer(path, clean), path, publish, clock)
        reader = Reader(path)
        try:
            await reader.open()
        except BaseException:
            await writer.close()
            raise
        return cls(reader, writer, clock)

    async def write(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation of `engine.store.jobs` or `engine.store.verbs`; its result once it is durable."""
        return await self._writer.write(operation)

    async def look(self, question: Callable[[Transaction], T]) -> T:
        """Ask several things of one moment. Like an operation, but it writes nothing and nobody waits for it."""
        return await self.read.look(lambda connection: question(Transaction(connection, self._clock())))

    async def close(self) -> None:
        await self.read.close()
        await self._writer.close()
