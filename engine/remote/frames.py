"""The frames in which several conversations share one stream. Pure: bytes in, frames out.

A frame is a head of nine bytes (kind, channel, length) and its data. Both ends open nothing but what they were asked
for, and send on a channel only what the other end said that it has room for, so that a long log cannot keep an answer
waiting.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from engine.errors import HeadwayError

DATA_MOST = 16 << 10  #: bytes of one frame: so many may stand before an answer in the stream
WINDOW = 256 << 10  #: bytes that may be on their way in one direction of a channel

_HEAD = struct.Struct("!BII")


class Kind(IntEnum):
    OPEN = 1
    """A conversation begins: the other end connects to its engine."""
    DATA = 2
    END = 3
    """Nothing more comes in this direction."""
    ABORT = 4
    """The conversation is over in both; the data are the reason, UTF-8."""
    ROOM = 5
    """So many bytes more may be sent, as four bytes."""
    PING = 6
    PONG = 7


@dataclass(frozen=True, slots=True)
class Frame:
    kind: Kind
    channel: int = 0
    data: bytes = b""

    def encoded(self) -> bytes:
        return _HEAD.pack(self.kind, self.channel, len(self.data)) + self.data

    @property
    def room(self) -> int:
        """How much a `ROOM` gives. Raises `HeadwayError` where it does not say."""
        if len(self.data) != 4:
            raise HeadwayError("the other end of the line speaks another language")
        return int.from_bytes(self.data)


def room(channel: int, size: int) -> Frame:
    return Frame(Kind.ROOM, channel, size.to_bytes(4))


_KINDS = frozenset(Kind)


class Frames:
    """Reads frames out of pieces of a stream."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises `HeadwayError` for bytes that are none."""
        self._held += data
        found: list[Frame] = []
        at = 0
        while len(self._held) - at >= _HEAD.size:
            kind, channel, size = _HEAD.unpack_from(self._held, at)
            if kind not in _KINDS or size > DATA_MOST:
                raise HeadwayError("the other end of the line speaks another language")
            if len(self._held) - at - _HEAD.size < size:
                break
            at += _HEAD.size
            found.append(Frame(Kind(kind), channel, bytes(self._held[at : at + size])))
            at += size
        del self._held[:at]
        return found
