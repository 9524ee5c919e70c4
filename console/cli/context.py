"""What every command needs: which home, and a way to ask its engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from engine.server.client import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    home: Path

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Talk to the engine of this home, raising `NoEngineError` where there is none."""
        import asyncio

        from engine.server.client import Client

        async def talk() -> T:
            async with Client(self.home) as client:
                return await question(client)

        return asyncio.run(talk())


def of(context: typer.Context) -> Context:
    """The context of a command."""
    found = context.obj
    assert isinstance(found, Context)
    return found
