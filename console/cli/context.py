"""What every command needs: which home, and a way to ask its engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from engine.remote.address import Address
    from engine.remote.place import Place
    from engine.server.client import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens the door of an engine over the network, and how it is known, where options say so."""

    token_file: Path | None = None
    fingerprint: str | None = None
    ca_file: Path | None = None

    def over(self, token_file: Path | None, fingerprint: str | None, ca_file: Path | None) -> Keys:
        """These, where others are not named."""
        return Keys(token_file or self.token_file, fingerprint or self.fingerprint, ca_file or self.ca_file)

    @property
    def options(self) -> list[str]:
        """As another headway takes them."""
        given = {"--token-file": self.token_file, "--fingerprint": self.fingerprint, "--ca-file": self.ca_file}
        return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def address_of(text: str, keys: Keys) -> Address:
    """The address of an engine over the network, with what options and the environment say. Raises `UsageError`."""
    import os

    from engine.remote.address import read_address

    return read_address(text, os.environ, keys.token_file, keys.fingerprint, keys.ca_file)


@dataclass(frozen=True, slots=True)
class Context:
    where: Path | Place | Address
    """The home: a directory here, or one on another machine."""
    named: str | None = None
    """The home as it was written on the command line, where it was."""
    keys: Keys = Keys()

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
        return away(self.where)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Talk to the engine of this home, raising `NoEngineError` where there is none."""
        import asyncio

        async def talk() -> T:
            async with self.client() as client:
                return await question(client)

        return asyncio.run(talk())


def away(where: Place | Address) -> AbstractAsyncContextManager[Client]:
    """A client of an engine elsewhere."""
    from engine.remote.address import Address

    if isinstance(where, Address):
        from engine.remote.https import NetworkClient

        return NetworkClient(where)
    from engine.remote.line import far_client

    return far_client(where)


def of(context: typer.Context) -> Context:
    """The context of a command."""
    found = context.obj
    assert isinstance(found, Context)
    return found
