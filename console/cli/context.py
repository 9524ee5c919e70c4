"""What every command needs: which home, and a way to ask its engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from engine.remote.place import Place
    from engine.server.client import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    where: Path | Place
    """The home: a directory here, or one on another machine."""
    named: str | None = None
    """The home as it was written on the command line, where it was."""

    @property
    def home(self) -> Path:
        """The home as a directory. Raises `UsageError` where it is on another machine."""
        from engine.errors import UsageError

        if isinstance(self.where, Path):
            return self.where
        raise UsageError(f"this needs the files of the home; run it there: ssh {self.where.host} headway ...")

    def client(self) -> AbstractAsyncContextManager[Client]:
        """A client of the engine of this home, here or elsewhere."""
        if isinstance(self.where, Path):
            from engine.server.client import Client

            return Client(self.where)
        from engine.remote.line import far_client

        return far_client(self.where)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Talk to the engine of this home, raising `NoEngineError` where there is none."""
        import asyncio

        async def talk() -> T:
            async with self.client() as client:
                return await question(client)

        return asyncio.run(talk())


def of(context: typer.Context) -> Context:
    """The context of a command."""
    found = context.obj
    assert isinstance(found, Context)
    return found
