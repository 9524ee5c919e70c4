"""The tokens that an answer tells, and the error that it may end with, read as it passes. Nothing else of it is kept.

A stream that has begun has status 200 whatever becomes of it: a provider that gives up in its midst says so by an
event.

Formats: docs.anthropic.com (messages, streaming), platform.openai.com (responses and chat, streaming), ai.google.dev
(generateContent). All say their tokens in fields of one name each, so that one type reads every one of them.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
from msgspec import Struct

from engine.model import Usage

LINE_BYTES = 8 << 20  #: of one line of a stream, and of a whole answer that is none; a longer one is passed unread
#: What can be read as it passes. An agent is not let ask for anything else: its answers would be sealed.
READABLE = frozenset({b"gzip", b"deflate", b"identity"})


NOTHING = msgspec.Raw(b"null")


class _Details(Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Tokens(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    promptTokenCount: int | None = None  # noqa: N815 - as Google spells it
    cachedContentTokenCount: int | None = None  # noqa: N815
    candidatesTokenCount: int | None = None  # noqa: N815
    thoughtsTokenCount: int | None = None  # noqa: N815


class _Message(Struct):
    model: str | None = None
    usage: _Tokens | None = None
    error: msgspec.Raw = NOTHING


class _Told(Struct):
    """One event of a stream, or a whole answer."""

    model: str | None = None
    modelVersion: str | None = None  # noqa: N815
    usage: _Tokens | None = None
    usageMetadata: _Tokens | None = None  # noqa: N815
    message: _Message | str | None = None
    response: _Message | None = None
    type: str | None = None
    error: msgspec.Raw = NOTHING

    def refused(self, line: bytes) -> bytes:
        """The body that the same error would have had as an answer of its own; empty where this is none."""
        within = self.response.error if self.response is not None else NOTHING
        for error in (self.error, within):
            if bytes(error) not in (b"null", b""):
                return b'{"error":' + bytes(error) + b"}"
        return line if self.type == "error" else b""


_ONE = msgspec.json.Decoder(_Told)
_MANY = msgspec.json.Decoder(list[_Told])


class UsageReader:
    """Reads one answer's body, piece by piece, and never raises."""

    def __init__(self, content_type: bytes, coding: bytes) -> None:
        self._lines = b"event-stream" in content_type
        self._inflate: Any = None
        self._reads = b"json" in content_type or self._lines
        if coding in (b"gzip", b"deflate", b"x-gzip"):
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif coding not in (b"", b"identity"):
            self._reads = False
        self._part = bytearray()
        self._skip = False
        self._model = ""
        self._told: dict[str, int] = {}
        self.error = b""
        """What the stream ended with instead of an answer, as the body of a refusal."""

    def feed(self, data: bytes) -> None:
        if not self._reads:
            return
        if self._inflate is not None:
            try:
                data = self._inflate.decompress(data, LINE_BYTES)
            except zlib.error:
                self._reads = False
                return
            self._reads = not self._inflate.unconsumed_tail  # what grows without measure is no answer of a model
        if not self._lines:
            self._keep(data)
            return
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._keep(piece)
            self._line()
        self._keep(rest)

    def finish(self) -> Usage | None:
        """What the answer told, once all of it has passed; None where it told nothing."""
        self._line()
        told = self._told
        if not told:
            return None
        return Usage(
            model=self._model,
            input_tokens=told.get("input", 0),
            output_tokens=told.get("output", 0),
            cache_read_tokens=told.get("cached", 0),
            cache_write_tokens=told.get("written", 0),
        )

    def _keep(self, piece: bytes) -> None:
        if len(self._part) + len(piece) > LINE_BYTES:
            self._part.clear()
            self._skip = True
        elif not self._skip:
            self._part += piece

    def _line(self) -> None:
        line, skipped = bytes(self._part), self._skip
        self._part.clear()
        self._skip = False
        if skipped or not (b'"usage' in line or (self._lines and b'"error"' in line)):
            return
        try:
            if not self._lines:
                parts = _MANY.decode(line) if line.lstrip()[:1] == b"[" else [_ONE.decode(line)]
            elif line.startswith(b"data:"):
                parts = [_ONE.decode(line[5:])]
                self.error = parts[0].refused(line[5:].strip()) or self.error
            else:
                return
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        for part in parts:
            self._take(part)

    def _take(self, told: _Told) -> None:
        inner = told.message if isinstance(told.message, _Message) else told.response
        self._model = told.model or told.modelVersion or (inner.model if inner else None) or self._model
        for tokens in (told.usage, told.usageMetadata, inner.usage if inner else None):
            if tokens is not None:
                self._told |= _counts(tokens)


def _counts(told: _Tokens) -> dict[str, int]:
    """The counts that are told, by what they count. Each is of all of the answer: a later one replaces it."""
    into = told.input_tokens_details or told.prompt_tokens_details
    cached = _first(told.cache_read_input_tokens, into.cached_tokens if into else None, told.cachedContentTokenCount)
    given = _first(told.input_tokens, told.prompt_tokens, told.promptTokenCount)
    if given is not None and told.cache_read_input_tokens is None and cached:
        given = max(0, given - cached)  # Anthropic alone counts what was cached apart
    out = _first(told.output_tokens, told.completion_tokens, told.candidatesTokenCount)
    if told.thoughtsTokenCount is not None:
        out = (out or 0) + told.thoughtsTokenCount
    named = {"input": given, "cached": cached, "written": told.cache_creation_input_tokens, "output": out}
    return {name: count for name, count in named.items() if count is not None and count >= 0}


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
