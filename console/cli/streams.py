"""What a command writes, whoever's words it quotes: without what a terminal would obey.

A command prints text of agents, of repositories and of people. Each place that does so cleans it; this is behind all
of them, so that one that was forgotten shows a wrong character and not a wrong terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, TextIO, cast

from engine.plain import plain


class Cleaned:
    """A text stream that lets nothing through but plain text. All else is the stream's own.

    Its `buffer` takes bytes as they are where they go to a file or a program, which may need each of them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> BinaryIO:
        return cast(BinaryIO, _Bytes(self._stream)) if self._stream.isatty() else self._stream.buffer

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _Bytes:
    """Bytes for a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(plain(bytes(data).decode(errors="replace")))
        return len(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def cleaned(stream: TextIO | None) -> TextIO:
    """Standard output or error as a command may write to it. None, a closed one, stays what it is."""
    return cast(TextIO, stream if stream is None or isinstance(stream, Cleaned) else Cleaned(stream))
