"""What crosses the socket: the bodies of requests, and server-sent events."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from engine.errors import (
    EntryError,
    ForbiddenError,
    HeadwayError,
    NoEngineError,
    NotFoundError,
    RefusedError,
    StorageError,
    TooLargeError,
    TooManyError,
    UnknownCallerError,
    UsageError,
)
from engine.events import Event
from engine.model import Progress


class UndoRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/undo`."""

    action: int | None = None
    """Its number; the newest that was not undone where it is not given."""
    dry_run: bool = False


class TryNow(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/limits`: not to wait for the closed windows of an account, as `claude@work`."""

    account: str


class Shutdown(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/shutdown`. With `drain`, what runs may finish first."""

    drain: bool = False


class WireError(Struct, frozen=True, omit_defaults=True):
    """An error as it crosses the socket."""

    error: str
    message: str
    entry: int = 0
    key: str = ""
    retry_after: float = 0
    """Seconds after which the same may be asked again, where it was too much."""
    others: list[WireError] = []
    """All else that is wrong with a submission."""


_KINDS: tuple[type[HeadwayError], ...] = (
    HeadwayError, UsageError, NoEngineError, NotFoundError, RefusedError, StorageError,
    ForbiddenError, UnknownCallerError, TooLargeError, TooManyError,
)  # fmt: skip
_BY_KIND = {cls.kind: cls for cls in _KINDS}


def to_wire(error: HeadwayError) -> WireError:
    if isinstance(error, EntryError):
        return WireError(
            error.kind, error.message, error.entry, error.key, others=[to_wire(one) for one in error.others]
        )
    if isinstance(error, TooManyError):
        return WireError(error.kind, error.message, retry_after=error.retry_after)
    return WireError(error.kind, error.message)


def from_wire(wire: WireError) -> HeadwayError:
    """The error that a server reported, as the same class on the client's side."""
    if wire.error == EntryError.kind:
        others = [EntryError(one.message, one.entry, one.key) for one in wire.others]
        return EntryError(wire.message, wire.entry, wire.key, others)
    if wire.error == TooManyError.kind:
        return TooManyError(wire.message, wire.retry_after)
    return _BY_KIND.get(wire.error, HeadwayError)(wire.message)


_ENCODE = msgspec.json.Encoder().encode

KEEP_ALIVE = b": still here\n\n"


def frame(event: Event | Progress | Struct) -> bytes:
    """One server-sent event (WHATWG HTML, section 9.2). An engine event has its sequence number as its id."""
    data = _ENCODE(event)
    if isinstance(event, Event):
        return b"id: %d\nevent: event\ndata: %b\n\n" % (event.seq, data)
    name = b"progress" if isinstance(event, Progress) else b"line"
    return b"event: %b\ndata: %b\n\n" % (name, data)


class Frames:
    """Bytes of an event stream in, `(event name, data)` out. Comments are left out.

    Lines are split on newlines alone: JSON may hold other characters that `splitlines` takes for line ends.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        self._pending += data
        while (end := self._pending.find(b"\n\n")) >= 0:
            block = bytes(self._pending[:end])
            del self._pending[: end + 2]
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
            if b"data" in fields:
                yield fields.get(b"event", b"message").decode(), fields[b"data"]
