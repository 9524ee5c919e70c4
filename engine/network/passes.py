"""Whose connection it is: a pass that the engine signs and gives into a sandbox, and that outlives the engine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

KEY = "network.key"  #: below the home, where no sandbox sees it
KEY_BYTES = 32


class Pass(Struct, frozen=True, omit_defaults=True):
    """What an attempt, or a check of its work, is known by. What it may reach is read off the settings each time."""

    job: int
    agent: str
    project: str | None = None
    attempt: int | None = None
    """None for a check."""


def key_of(home: Path) -> bytes:
    """The key that passes of this home are signed with, made if there is none."""
    path = home / KEY
    for _ in range(2):
        try:
            kept = path.read_bytes()
            if len(kept) == KEY_BYTES:
                return kept
        except FileNotFoundError:
            pass
        temp = path.with_name(f"{KEY}.{secrets.token_hex(4)}")
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        try:
            os.link(temp, path)  # whoever comes first decides
        except FileExistsError:
            if path.stat().st_size != KEY_BYTES:
                temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
    return path.read_bytes()


def sign(key: bytes, whose: Pass) -> str:
    """A pass as one word."""
    body = base64.urlsafe_b64encode(msgspec.json.encode(whose)).decode()
    return f"{body}.{_mark(key, body)}"


def read(key: bytes, word: str) -> Pass | None:
    """Whose it is; None for a word that this home has not signed."""
    body, _, mark = word.partition(".")
    if not hmac.compare_digest(mark.encode(errors="replace"), _mark(key, body).encode()):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(body), type=Pass)
    except (ValueError, msgspec.MsgspecError):
        return None


def _mark(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(errors="replace"), hashlib.sha256).hexdigest()
