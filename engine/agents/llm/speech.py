"""What the process of a model call says: lines on standard output, the answer's text in pieces worth reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from engine.agents.llm.lines import AnyLine, TextLine, ThinkingLine
from engine.redact import MARK, SHORTEST

SOON_SECONDS = 1.0  #: after which a piece is given out at the next good place
GOOD_CHARS = 400  #: a piece of that size is given out at the next good place
MOST_CHARS = 2_000  #: a larger piece is cut between two words

_SENTENCE_ENDS = (". ", "? ", "! ")


class Pieces:
    """Text as a model streams it in, a few letters at a time; pieces out that end with a line, or with a sentence."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held = ""
        self._since = clock()

    def feed(self, text: str) -> list[str]:
        """What can be given out now. Nothing is lost or changed: all pieces together are the text."""
        if not self._held:
            self._since = self._clock()
        self._held += text
        pieces = []
        while (end := self._end()) > 0:
            pieces.append(self._held[:end])
            self._held = self._held[end:]
        if pieces:
            self._since = self._clock()
        return pieces

    def rest(self) -> list[str]:
        held, self._held = self._held, ""
        self._since = self._clock()
        return [held] if held else []

    def _end(self) -> int:
        """Where the next piece ends; 0 where it is still too early."""
        size = len(self._held)
        due = size >= GOOD_CHARS or (size > 0 and self._clock() - self._since >= SOON_SECONDS)
        if not due:
            return 0
        window = self._held[:MOST_CHARS]
        if (end := window.rfind("\n") + 1) > 0:
            return end
        if ends := [window.rfind(sign) + len(sign) for sign in _SENTENCE_ENDS if sign in window]:
            return max(ends)
        return 0 if size < MOST_CHARS else window.rfind(" ") + 1 or MOST_CHARS


def whole(text: str) -> str:
    """Text without the half characters that JSON can escape and no file can hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()


class Speech:
    """Standard output of one call. What it says never holds the key."""

    def __init__(self, out: BinaryIO, secret: str) -> None:
        self._out = out
        self._secret = secret if len(secret) >= SHORTEST else None
        self._parts: list[str] = []
        self._text, self._thinking = Pieces(), Pieces()

    @property
    def answer(self) -> str:
        """All of the answer so far."""
        text = "".join(self._parts)
        return text.replace(self._secret, MARK) if self._secret else text

    def text(self, piece: str) -> None:
        piece = whole(piece)
        self._parts.append(piece)
        for told in self._thinking.rest():
            self.line(ThinkingLine(told))
        for told in self._text.feed(piece):
            self.line(TextLine(told))

    def thinking(self, piece: str) -> None:
        for told in self._thinking.feed(whole(piece)):
            self.line(ThinkingLine(told))

    def finish(self) -> None:
        """Give out what is held back."""
        for told in self._thinking.rest():
            self.line(ThinkingLine(told))
        for told in self._text.rest():
            self.line(TextLine(told))

    def line(self, line: AnyLine) -> None:
        data = msgspec.json.encode(line)
        if self._secret:
            data = data.replace(self._secret.encode(), MARK.encode())
        self._out.write(data + b"\n")
        self._out.flush()
