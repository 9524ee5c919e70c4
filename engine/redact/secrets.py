"""Secrets out of what the engine writes: known ones by their values, others by what keys look like."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from engine.redact.finder import Finder, Span
from engine.redact.forms import Form, forms_of
from engine.redact.masking import cover

MARK = "[key]"
SHORTEST = 8  #: characters; a shorter value stands in ordinary words too
UNLIKELY = 16  #: characters; so long no number and no word is by chance

#: Variables whose values are secrets.
_NAMES = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|(?:PG)?PASSWORD|PASSWD|CREDENTIALS?|AUTH|HEADERS)(?:_|$)", re.I
)
#: Among them, those that only say where one is.
_PLACES = re.compile(r"(?:_FILE|_PATH|_DIR|_HOME|_ID|_URL|_SOCK|^GOOGLE_APPLICATION_CREDENTIALS)$", re.I)

#: What might be a key: behind a word that says so.
_SAID = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+|(?:^|[\s\"'&?;,{(_-])(?:[a-z0-9_-]*(?:api[_-]?key|token|secret|passwd|password|credential))"
    r"[\"']?\s*[=:]\s*[\"']?)([^\s\"'&;,)}]{6,})"
)
_SHAPES = Finder()

Text = TypeVar("Text", str, "str | None")


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return bool(_NAMES.search(name)) and not _PLACES.search(name)


def is_key(text: str) -> bool:
    """Whether something in a text is a key for certain, whomever it belongs to."""
    return bool(_SHAPES.spans(text.encode("utf-8", "surrogatepass")))


def unkeyed(text: str) -> str:
    """The text without what is a key for certain: for what quotes a file."""
    return _without(text, _SHAPES)


def out_of_shapes(text: str) -> str:
    """The text without what is a key, and what only might be one: for what leaves this machine."""
    return _SAID.sub(rf"\1{MARK}", _without(text, _SHAPES))


class Secrets:
    """The secrets that this engine has handed out. They are in memory alone, and never told again."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._finder = self._sure = _SHAPES

    def learn(self, values: Iterable[str]) -> None:
        """Values that are secrets. One that is short, or a short number, is not looked for: it stands in anything."""
        new = {one for one in values if len(one) >= SHORTEST and not _is_number(one)} - self._values
        if new:
            self._values |= new
            words = {one for one in self._values if _is_word(one)}
            sure = [form for one in self._values - words for form in forms_of(one)]
            self._sure = Finder(sure)
            self._finder = Finder([*sure, *(Form(one.encode(), word=True) for one in words)]) if words else self._sure

    def learn_from(self, environment: Mapping[str, str]) -> None:
        """The secrets in an environment that was given to an agent."""
        self.learn(value for name, value in environment.items() if is_secret(name))

    def out_of(self, text: Text) -> Text:
        """The text without them, and without whatever else is a key."""
        return _without(text, self._finder) if text else text

    def out_of_bytes(self, data: bytes) -> bytes:
        """The same for what is encoded already, such as JSON, which stays JSON."""
        return _replaced(data, self._finder.spans(data))

    def kept(self, text: str) -> str:
        """The text as the database may keep it. What could be a word, or a part of a path, stays in it."""
        return _without(text, self._sure)

    def masked(self, data: bytes) -> bytes:
        """The same as long as it was: whoever copies a file piece by piece counts its bytes."""
        covered = bytearray(data)
        for start, end in self.spans(data):
            covered[start:end] = cover(data[start:end])
        return bytes(covered)

    def spans(self, data: bytes) -> list[Span]:
        """Where they stand, for what has to keep its length."""
        return self._finder.spans(data)

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)})"


class Filter(logging.Filter):
    """Keeps secrets out of a log, tracebacks included."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._secrets.out_of(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = self._secrets.out_of(record.exc_text)
        return True


def _is_number(value: str) -> bool:
    return len(value) < UNLIKELY and value.isdecimal()


def _is_word(value: str) -> bool:
    return len(value) < UNLIKELY and value.isascii() and value.isalpha()


def _without(text: str, finder: Finder) -> str:
    data = text.encode("utf-8", "surrogatepass")
    spans = finder.spans(data)
    return _replaced(data, spans).decode("utf-8", "surrogatepass") if spans else text


def _replaced(data: bytes, spans: list[Span]) -> bytes:
    if not spans:
        return data
    kept, at = [], 0
    for start, end in spans:
        kept += [data[at:start], MARK.encode()]
        at = end
    return b"".join([*kept, data[at:]])
