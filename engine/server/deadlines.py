"""HTTP for those who come over the network: who is slow to ask, or to read, is cut off, and nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_SECONDS = 10.0  #: from the first byte of a request, or from the connection's begin, to the end of its head
BODY_SECONDS = 20.0  #: for a body, and
BODY_RATE = 16 << 10  #: for each so many bytes that have come a second more
REST_SECONDS = 2.0  #: for which a body that was answered already is thrown away, so that its sender hears why
STALLED_SECONDS = 30.0  #: for which a reader may take nothing of what is there for it
WAITING_BYTES = 64 << 10  #: that are kept for such a reader
HEAD_BYTES = 32 << 10  #: of a head: the longest of a client of ours is a third of that
HEAD_PIECE = 2 << 10  #: bytes that are read in one turn of the loop where a head is awaited,
CHUNK_PIECE = 1 << 10  #: and of a body in chunks: each may be of one byte, and costs as much as one of thousands
TURN_AWAY = "turn away"  #: in the state of a request: what to call where nothing more is to be read of who sent it


class _Awaited(Enum):
    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    REST = auto()


class Deadlines(H11Protocol):
    """One connection. `on_end` is called once, when it has ended."""

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, state: dict[str, Any], on_end: Callable[[], None]
    ) -> None:
        super().__init__(config, server_state, state)
        self.conn = h11.Connection(h11.SERVER, HEAD_BYTES)
        self._on_end = on_end
        self._awaited = _Awaited.NOTHING
        self._since = 0.0
        self._arrived = 0
        self._cut: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._unread = bytearray()
        """What came and is read in the next turns of the loop, others' in between."""
        self._next: asyncio.Handle | None = None
        self._turned_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(high=WAITING_BYTES)
        super().connection_made(transport)
        self.app_state = {TURN_AWAY: self.turn_away}
        self._await(_Awaited.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(_Awaited.NOTHING)
        self.turn_away()
        self.resume_writing()
        super().connection_lost(exc)
        self._on_end()

    def data_received(self, data: bytes) -> None:
        if self._turned_away:
            return
        self._arrived += len(data)
        self._unread += data
        if self._next is None:
            self._read()
        else:
            self.transport.pause_reading()

    def _read(self) -> None:
        """Read a piece, and the next one after whatever else the loop has to do."""
        self._next = None
        if self.conn.their_state is h11.DONE:
            self.transport.pause_reading()  # it is the next request's, and this one is not answered yet
            return
        piece = bytes(self._unread[: self._piece()])
        del self._unread[: len(piece)]
        super().data_received(piece)
        self._look()
        if self._turned_away or self.transport.is_closing():
            self._unread.clear()
        elif self._unread:
            self.transport.pause_reading()
            self._next = self.loop.call_soon(self._read)
        elif not self.flow.read_paused:
            self.transport.resume_reading()

    def _piece(self) -> int:
        if self.conn.their_state is not h11.SEND_BODY:
            return HEAD_PIECE
        chunks = any(name == b"transfer-encoding" for name, _ in self.headers or ())
        return CHUNK_PIECE if chunks else len(self._unread)

    def turn_away(self) -> bool:
        """Read nothing more of who calls: what still comes, until it has heard why, is thrown away as it is.

        Returns whether it has said all of its request.
        """
        self._turned_away = True
        self._unread.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None
            if not self.transport.is_closing():
                self.transport.resume_reading()
        return self.conn.their_state is not h11.SEND_BODY

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._await(_Awaited.REST)
        elif self._turned_away:
            self.transport.close()
        elif self._unread:
            if self._next is None:
                self._next = self.loop.call_soon(self._read)
        elif self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _look(self) -> None:
        """What the caller owes now: the rest of a head, the rest of a body, or nothing."""
        body = _Awaited.REST if self._awaited is _Awaited.REST else _Awaited.BODY
        states = {h11.IDLE: _Awaited.HEAD, h11.SEND_BODY: body}
        awaited = states.get(self.conn.their_state, _Awaited.NOTHING)
        if awaited is not self._awaited:
            self._await(awaited)

    def _await(self, awaited: _Awaited) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        self._awaited, self._since, self._arrived = awaited, self.loop.time(), 0
        if awaited is not _Awaited.NOTHING:
            seconds = {_Awaited.HEAD: HEAD_SECONDS, _Awaited.BODY: BODY_SECONDS, _Awaited.REST: REST_SECONDS}
            self._cut = self.loop.call_later(seconds[awaited], self._too_late)

    def _too_late(self) -> None:
        if self._awaited is _Awaited.BODY:
            if self.flow.read_paused or self._unread:
                self._await(_Awaited.BODY)  # it is we who do not read
                return
            end = self._since + BODY_SECONDS + self._arrived / BODY_RATE
            if self.loop.time() < end:
                self._cut = self.loop.call_at(end, self._too_late)
                return
        self.transport.abort()
