"""What the engine and a node say to each other.

What comes from a node is decoded into these types and into nothing else. What goes to one holds the engine's own
values as they are (`Order`): a node runs what the engine tells it to, and trusts it for that.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from engine.cluster.fencing import FencedError
from engine.config import Settings
from engine.errors import CredentialError, HeadwayError, RefusedError
from engine.model import AgentStatus
from engine.runner.launch import Plan
from engine.skills.skill import Given
from engine.store.claims import Claim

T = TypeVar("T")


class Parcel(Struct, frozen=True):
    """A workspace on its way: what `engine.cluster.parcel` packs and unpacks."""

    git: bool
    data: bytes
    """A git bundle, empty where the other side has all of it; or a compressed archive of a plain directory."""
    head: str = ""
    """The commit that is checked out."""
    tip: str = ""
    """`head`, or a commit on top of it with what is not committed."""
    branch: str = ""
    ref: str = ""
    """Under which the bundle has `tip`."""
    left_out: int = 0
    """Entries that could not be packed."""
    shallow: list[str] = []
    """Commits whose parents are not there: the project is a shallow clone."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """An engine introduces itself to a node. `kept`: the attempts that were given to it and have no end."""

    epoch: int
    version: str
    settings: Settings
    kept: frozenset[int]


class Hello(Struct, frozen=True):
    """A node's answer."""

    version: str
    boot: str
    held: list[int]
    """Attempts that it holds."""
    memory: int
    """Bytes, as the machine has."""
    free: int


@dataclass(frozen=True, slots=True)
class Order:
    """An attempt that a node is to begin. `home`: the engine's own, whose paths are the node's below its home."""

    epoch: int
    claim: Claim
    plan: Plan
    home: str
    parcel: Parcel


class Begun(Struct, frozen=True):
    """An attempt runs on a node."""

    pid: int
    talks: bool
    given: list[Given] | None
    """The skills that it was given, where it was given any."""
    files: bytes
    """What is in its run directory, as a compressed archive."""


class Have(Struct, frozen=True):
    """How much of an attempt's output the engine has."""

    attempt: int
    stdout: int
    stderr: int


class Heard(Struct, frozen=True):
    """What is new of an attempt. The offsets are those that the engine said."""

    attempt: int
    at: Have
    stdout: bytes = b""
    stderr: bytes = b""
    ended: bool = False
    """Nothing will come after this."""
    code: int | None = None
    """How its shim ended, where it could write that down."""
    rebooted: bool = False
    """It has none because the machine went down."""
    held: int | None = None
    """Bytes of memory."""
    cpu_ms: int | None = None
    processes: int | None = None


class Ask(Struct, frozen=True):
    """Which news the engine wants. Answered at once where there are some, else after `wait` seconds."""

    epoch: int
    have: list[Have]
    wait: float


class News(Struct, frozen=True):
    heard: list[Heard]
    unknown: list[int]
    """Attempts that were asked for, and that the node does not hold."""
    free: int
    """Bytes of memory that the machine can give."""


class Touch(Struct, frozen=True):
    """Something is to be done to an attempt: `grace` seconds for its end, a `line` for its input.

    `once` names a line: what is said again, because the answer was lost, is not heard again.
    """

    epoch: int
    attempt: int
    grace: float = 0.0
    line: bytes = b""
    once: str = ""


class Told(Struct, frozen=True):
    heard: bool = True


class Has(Struct, frozen=True):
    """Commits that a node has of a project."""

    commits: list[str]


class Which(Struct, frozen=True):
    """The project that is meant: its directory at the engine."""

    epoch: int
    project: str


class Survey(Struct, frozen=True):
    """What the agents are on a node, and whether they are signed in. `check`: ask them, where that costs time."""

    epoch: int
    check: bool


class Surveyed(Struct, frozen=True):
    version: str
    agents: list[AgentStatus]


class Result(Struct, frozen=True):
    """What an attempt left."""

    parcel: Parcel
    files: bytes
    cpu_ms: int | None


class Drop(Struct, frozen=True):
    """An attempt is settled. `whole`: so is its job, and nothing of it is wanted any more."""

    epoch: int
    attempt: int
    job: int
    whole: bool


class Failed(Struct, frozen=True, tag="failed"):
    """The node could not do it."""

    kind: str
    message: str


class Done(Struct, frozen=True, tag="done"):
    body: msgspec.Raw


class UnmetError(RefusedError):
    """The node does not know this engine: it was started after they met."""


_KINDS: dict[str, type[HeadwayError]] = {
    "fenced": FencedError,
    "unmet": UnmetError,
    "credential": CredentialError,
    "refused": RefusedError,
}


def done(body: Struct) -> bytes:
    return msgspec.msgpack.encode(Done(msgspec.Raw(msgspec.msgpack.encode(body))))


def failed(error: HeadwayError) -> bytes:
    kind = next((name for name, one in _KINDS.items() if isinstance(error, one)), "failed")
    return msgspec.msgpack.encode(Failed(kind, error.message))


def read(answer: bytes, kind: type[T]) -> T:
    """A node's answer. Raises the `HeadwayError` that it tells of."""
    try:
        found = msgspec.msgpack.decode(answer, type=Failed | Done)
        if isinstance(found, Done):
            return msgspec.msgpack.decode(found.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise HeadwayError(f"what the node says cannot be read: {error}") from None
    raise _KINDS.get(found.kind, HeadwayError)(found.message)


def sent(value: Meeting | Order) -> bytes:
    """The engine's own values as they are. Both sides are of one version: `Meeting` sees to it."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def taken(data: bytes) -> Any:
    return pickle.loads(data)
