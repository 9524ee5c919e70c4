"""Known secrets out of what the engine writes: by their exact values, wherever they come from."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

MARK = "[key]"
SHORTEST = 8  #: characters; a shorter value stands in ordinary words too

#: Variables whose values are secrets.
_NAMES = re.compile(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH|HEADERS)(?:_|$)", re.I)
#: Among them, those that only say where one is.
_PLACES = re.compile(r"(?:_FILE|_PATH|_DIR|_HOME|_ID|_URL|_SOCK|^GOOGLE_APPLICATION_CREDENTIALS)$", re.I)

#: What keys look like: of providers, of hosts of code, of clouds, in addresses, in headers, in assignments.
_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}|A(?:KIA|SIA)[A-Z0-9]{16}|whsec_[A-Za-z0-9+/=]{16,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,})"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=hooks\.slack\.com/services/)[A-Za-z0-9/]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*-----|$)"
)
_SAID = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+|(?:^|[\s\"'&?;,{(_-])(?:[a-z0-9_-]*(?:api[_-]?key|token|secret|passwd|password|credential))"
    r"[\"']?\s*[=:]\s*[\"']?)([^\s\"'&;,)}]{6,})"
)

Text = TypeVar("Text", str, "str | None")


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return bool(_NAMES.search(name)) and not _PLACES.search(name)


def out_of_shapes(text: str) -> str:
    """The text without what looks like a key, of whomever it is: for what leaves this machine."""
    return _SAID.sub(rf"\1{MARK}", _SHAPES.sub(MARK, text))


class Secrets:
    """The secrets that this engine has handed out. They are in memory alone, and never told again."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._bytes: re.Pattern[bytes] | None = None

    def learn(self, values: Iterable[str]) -> None:
        new = {value for value in values if len(value) >= SHORTEST} - self._values
        if new:
            self._values |= new
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            self._bytes = re.compile(b"|".join(re.escape(value.encode()) for value in longest_first))

    def learn_from(self, environment: Mapping[str, str]) -> None:
        """The secrets in an environment that was given to an agent."""
        self.learn(value for name, value in environment.items() if is_secret(name))

    def out_of(self, text: Text) -> Text:
        """The text without them."""
        if not text or self._pattern is None:
            return text
        return self._pattern.sub(MARK, text)

    def out_of_bytes(self, data: bytes) -> bytes:
        """The same for what is encoded already; a key has no characters that JSON would write in another way."""
        return data if self._bytes is None else self._bytes.sub(MARK.encode(), data)

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
