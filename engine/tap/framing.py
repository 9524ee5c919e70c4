"""HTTP/1.1 heads and the ends of bodies. Heads are held against the grammar by h11; bodies pass as they came. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import h11

HEAD_BYTES = 1 << 16  #: of one head; a longer one is refused
SAID = 200  #: characters of what is wrong
SIZE_LINE_BYTES = 1 << 10  #: of a line that begins a chunk
#: What is between two neighbours alone (RFC 9110, section 7.6.1), beside what `Connection` names.
_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect"})
_BODILESS = frozenset({204, 304})

Headers = Sequence[tuple[bytes, bytes]]


class FramingError(Exception):
    """What came is no HTTP that both sides would understand in the same way."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a request or of an answer. Names of headers as they were written."""

    headers: Headers
    method: bytes = b""
    target: bytes = b""
    status: int = 0
    reason: bytes = b""
    version: bytes = b"1.1"

    def get(self, name: bytes) -> bytes | None:
        """The first header of that name, in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def closes(self) -> bool:
        """Its sender ends the connection after it."""
        said = (self.get(b"connection") or b"").lower()
        return b"close" in said or (self.version == b"1.0" and b"keep-alive" not in said)


class HeadReader:
    """Bytes in until one head is whole. `rest` is what came behind it."""

    def __init__(self, *, request: bool, method: bytes = b"GET") -> None:
        self._h11 = h11.Connection(h11.SERVER if request else h11.CLIENT, HEAD_BYTES)
        if not request:
            self._h11.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
            self._h11.send(h11.EndOfMessage())

    @property
    def rest(self) -> bytes:
        return bytes(self._h11.trailing_data[0])

    def feed(self, data: bytes) -> Head | None:
        """The head, once it is whole. Answers of the kind `100 Continue` are passed over."""
        try:
            self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if isinstance(event, h11.Request):
                    return Head(
                        event.headers.raw_items(), bytes(event.method), bytes(event.target), version=event.http_version
                    )
                if isinstance(event, h11.Response):
                    return Head(
                        event.headers.raw_items(),
                        status=event.status_code,
                        reason=bytes(event.reason),
                        version=event.http_version,
                    )
                if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                    continue
                if event is h11.NEED_DATA:
                    return None
                raise FramingError("it ended, or changed to another protocol")
        except h11.ProtocolError as error:
            raise FramingError(str(error)[:SAID]) from None  # h11 quotes the whole line


class Body:
    """Where a body ends, and what is in it. Feed it what comes; it says how much of that is the body's."""

    def __init__(self, length: int | None) -> None:
        """`length`: bytes; None for up to the end of the connection."""
        self._left = length
        self.done = length == 0

    @property
    def to_the_end(self) -> bool:
        """Only the end of the connection ends it."""
        return self._left is None

    def feed(self, data: bytes) -> tuple[int, Sequence[bytes]]:
        """How many of these bytes belong to it, and the content among them."""
        if self._left is None:
            return len(data), (data,)
        taken = min(self._left, len(data))
        self._left -= taken
        self.done = self._left == 0
        return taken, (data[:taken],)


class Chunks(Body):
    """Chunked transfer coding (RFC 9112, section 7.1)."""

    def __init__(self) -> None:
        super().__init__(-1)
        self._line = bytearray()
        self._chunk = 0
        """Bytes that are left of the chunk and of the line end behind it."""
        self._trailer = False

    def feed(self, data: bytes) -> tuple[int, Sequence[bytes]]:
        content, at = [], 0
        while at < len(data) and not self.done:
            if not self._chunk:
                at = self._read_line(data, at)
                continue
            piece = data[at : at + self._chunk]
            inside = min(len(piece), max(0, self._chunk - 2))
            if inside:
                content.append(piece[:inside])
            left = self._chunk - inside
            if piece[inside:] != b"\r\n"[2 - left :][: len(piece) - inside]:
                raise FramingError("a chunk does not end where it says")
            self._chunk -= len(piece)
            at += len(piece)
        return at, content

    def _read_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        if len(self._line) > SIZE_LINE_BYTES:
            raise FramingError("a chunk begins with too long a line")
        if end >= 0:
            line = bytes(self._line).rstrip(b"\r\n")
            self._line.clear()
            self._take(line)
        return stop

    def _take(self, line: bytes) -> None:
        if self._trailer:
            self.done = not line
            return
        digits = line.partition(b";")[0].strip()
        if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
            raise FramingError("a chunk does not begin with its size")
        size = int(digits, 16)
        self._trailer = size == 0
        self._chunk = size + 2 if size else 0


def body_of_request(head: Head) -> Body:
    return Chunks() if _chunked(head) else Body(_length(head) or 0)


def body_of_answer(head: Head, method: bytes) -> Body:
    """The body of the answer to a request of that method."""
    if method == b"HEAD" or head.status in _BODILESS:
        return Body(0)
    return Chunks() if _chunked(head) else Body(_length(head))


def request_head(head: Head, target: bytes, host: bytes, replaced: Mapping[bytes, bytes]) -> bytes:
    """A request to pass on. `replaced`: the new values of headers, by their names in lower case."""
    lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, target, host)]
    lines += [
        b"%b: %b\r\n" % (name, replaced.get(name.lower(), value))
        for name, value in _passing(head)
        if name.lower() != b"host"
    ]
    return b"".join([*lines, b"\r\n"])


def answer_head(head: Head, *, keep: bool) -> bytes:
    """An answer to pass on. `keep`: the connection to the client stays for another request."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)]
    lines += [b"%b: %b\r\n" % pair for pair in _passing(head)]
    return b"".join([*lines, b"\r\n" if keep else b"Connection: close\r\n\r\n"])


def _passing(head: Head) -> Iterator[tuple[bytes, bytes]]:
    """The headers that go on to the other side. Where chunks say where the body ends, a length does not."""
    said = b",".join(value for name, value in head.headers if name.lower() == b"connection")
    named = {word.strip().lower() for word in said.split(b",")}
    chunked = _chunked(head)
    for name, value in head.headers:
        lower = name.lower()
        if lower in _HOP or (lower in named and lower != b"transfer-encoding"):
            continue
        if chunked and lower == b"content-length":
            continue
        yield name, value


def _chunked(head: Head) -> bool:
    return b"chunked" in (head.get(b"transfer-encoding") or b"").lower()


def _length(head: Head) -> int | None:
    """h11 has refused what is no number, and two that differ."""
    said = head.get(b"content-length")
    return int(said.partition(b",")[0]) if said is not None else None
