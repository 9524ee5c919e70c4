"""Where an engine is on the network: `https://host:port`, what opens its door, and how it is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from engine.errors import UsageError

SCHEME = "https://"
PORT = 7433  #: where none is named

_SHA256 = re.compile(r"(?:sha256:)?((?:[0-9a-f]{2}:?){32})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """An engine on the network."""

    host: str
    port: int
    token: str = field(repr=False)
    fingerprint: str | None = None
    """SHA-256 of its certificate in hexadecimal: it is this one, or none."""
    ca_file: Path | None = None
    """Who has to have signed its certificate, where it is not pinned; unset: one of those that this machine trusts."""

    def __str__(self) -> str:
        return f"{SCHEME}{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def read_address(
    text: str,
    environment: Mapping[str, str],
    token_file: Path | None = None,
    fingerprint: str | None = None,
    ca_file: Path | None = None,
) -> Address:
    """Read `https://HOST[:PORT]` and what belongs to it.

    What is not given is of the environment: `HEADWAY_TOKEN`, or the file `HEADWAY_TOKEN_FILE`, `HEADWAY_FINGERPRINT`,
    `HEADWAY_CA_FILE`. Raises `UsageError` that says what is wrong.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    if parts.scheme == "http":
        raise UsageError(f"{text}: a token is sent over TLS only: https://")
    if not host or port == 0 or parts.username or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{_shown(text)}: write https://HOST:PORT")
    file = ca_file or _path(environment.get("HEADWAY_CA_FILE"))
    if file is not None and not file.is_file():
        raise UsageError(f"{file} is not there: it names who signs the engine's certificate")
    pinned = fingerprint or environment.get("HEADWAY_FINGERPRINT")
    return Address(host, port or PORT, _token(environment, token_file), _sha256(pinned), file)


def _token(environment: Mapping[str, str], token_file: Path | None) -> str:
    file = token_file or (None if environment.get("HEADWAY_TOKEN") else _path(environment.get("HEADWAY_TOKEN_FILE")))
    if file is None:
        found = environment.get("HEADWAY_TOKEN", "").strip()
    else:
        try:
            found = file.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file: {file}: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not found:
        raise UsageError("an engine on the network wants a token: HEADWAY_TOKEN, or --token-file FILE")
    if not (found.isascii() and found.isprintable() and " " not in found):
        raise UsageError("the token is more than one word: it is a line such as hwt_...")
    return found


def _sha256(text: str | None) -> str | None:
    if not text:
        return None
    found = _SHA256.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--fingerprint {text[:80]}: write it as `headway server certificate` prints it: sha256:...")
    return found[1].replace(":", "").lower()


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _shown(text: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/@]*@", "//...@", text)
