"""Secrets in what comes piece by piece, covered without moving anything: every byte behind them stays where it is."""

from __future__ import annotations

from collections.abc import Callable

from engine.redact.finder import Span

MARK = b"[key]"
COVER = ord("*")
_LINES = b"\r\n"

CONTEXT = 512  #: bytes that are looked at again behind a line's end: a known value may go on in the next line
UNFINISHED = 8_192  #: the same within a line: no secret is longer that is not a private key
REACH = 32_768  #: so far back it is looked at most: for so long the end of a private key is waited for


def cover(secret: bytes) -> bytes:
    """What stands for a secret: as many bytes, the same lines, and its length at most to be learnt from it."""
    mark = MARK if not any(one in _LINES for one in secret[: len(MARK)]) and len(secret) >= len(MARK) else b""
    return mark + bytes(one if one in _LINES else COVER for one in secret[len(mark) :])


class Masker:
    """Finds the secrets in one stream of bytes. `spans` finds those in a piece of it."""

    def __init__(self, spans: Callable[[bytes], list[Span]]) -> None:
        self._spans = spans
        self._held = b""
        self._start = 0
        """Where the first byte that is held stands in the stream."""

    def take(self, data: bytes) -> list[tuple[int, bytes]]:
        """What is to be written over the stream now, each with its offset. What was told may come again, or longer."""
        held = self._held + data
        found = self._spans(held)
        told = [(self._start + start, cover(held[start:end])) for start, end in found]
        keep = max(0, len(held) - (CONTEXT if held.endswith(b"\n") else UNFINISHED))
        if found and _may_grow(held, found[-1]):
            keep = max(min(keep, found[-1][0]), len(held) - REACH)
        self._held = held[keep:]
        self._start += keep
        return told


def _may_grow(held: bytes, span: Span) -> bool:
    secret = held[span[0] : span[1]]
    return span[1] == len(held) or (secret.startswith(b"-----BEGIN ") and not secret.endswith(b"-----"))
