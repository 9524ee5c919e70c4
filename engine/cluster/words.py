"""What the engine and the driver that speaks Ray for it say to each other, and what a fleet needs of the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from msgspec import Struct

from engine.errors import HeadwayError

LENGTH_BYTES = 8  #: before each frame


class UnreachableError(HeadwayError):
    """The node, or the whole cluster, cannot be reached at the moment. Whether it has heard the word is not known."""


class NoRoomError(HeadwayError):
    """No node has room now."""


class Seen(Struct, frozen=True):
    """A node as the cluster tells of it."""

    name: str
    id: str
    """Another one each time that the node joins."""
    address: str
    offers: dict[str, float]
    labels: dict[str, str]
    trouble: str = ""
    """What the operator should see to."""


class Word(Struct, frozen=True, tag="word"):
    """For the site of a node."""

    number: int
    node: str
    verb: str
    data: bytes


class Reserve(Struct, frozen=True, tag="reserve"):
    """Room for an attempt on one of these nodes, for the cluster to choose. `key` names it."""

    number: int
    key: str
    resources: dict[str, float]
    labels: dict[str, str]
    among: list[str]
    within: float
    """Seconds."""


class Free(Struct, frozen=True, tag="free"):
    """Rooms are not needed any more: those named, or all but those."""

    number: int
    keys: list[str]
    others: bool = False


class Answer(Struct, frozen=True, tag="answer"):
    number: int
    data: bytes = b""
    unreachable: str = ""
    full: str = ""


class Nodes(Struct, frozen=True, tag="nodes"):
    """The nodes that are here, told whenever that changes."""

    nodes: list[Seen]


class Settled(Struct, frozen=True, tag="settled"):
    """What the driver has to know before anything else."""

    address: str
    namespace: str
    home: str
    start: list[str]
    """The command that starts a head on this machine; empty where there is one elsewhere."""


Up = Answer | Nodes
Down = Word | Reserve | Free | Settled


class Link(Protocol):
    """What a fleet needs of the cluster."""

    @property
    def connected(self) -> bool:
        """There is a head, and it is heard."""

    @property
    def trouble(self) -> str:
        """Why not."""

    @property
    def nodes(self) -> Mapping[str, Seen]:
        """By name, those that are here."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Have something called whenever any of these is another."""

    async def run(self) -> None:
        """Until cancelled."""

    async def call(self, node: str, verb: str, data: bytes) -> bytes:
        """A word to a node's site, and its answer. Raises `UnreachableError`."""

    async def reserve(self, key: str, wish: Reserve) -> str:
        """Room on a node: its name. Raises `NoRoomError` and `UnreachableError`."""

    async def free(self, *keys: str, others: bool = False) -> None:
        """Give rooms back. Raises nothing: what is left is given back when the engine starts next."""


async def send(writer: asyncio.StreamWriter, message: Up | Down) -> None:
    data = msgspec.msgpack.encode(message)
    writer.write(len(data).to_bytes(LENGTH_BYTES))
    writer.write(data)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> bytes:
    """The next frame. Raises `asyncio.IncompleteReadError` where the other side is gone."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(LENGTH_BYTES)))
