"""JSON and ids, as the agents print them.

`json`, `signal`, `subprocess` and `uuid` would bring `re`, `enum` and `threading` and double the time to start; the C
modules beneath them do the same work.
"""

from __future__ import annotations

import _json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Rules:
    """What the scanner under the json module asks of its decoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo: Json = {}  # noqa: RUF012 - the scanner empties it


def loads(text: str) -> Json:
    value: Json = _json.make_scanner(Rules())(text, 0)[0]  # type: ignore[arg-type]
    return value


def dumps(value: object) -> bytes:
    encode = _json.make_encoder(None, str, _json.encode_basestring_ascii, None, ":", ",", False, False, False)
    return "".join(encode(value, 0)).encode()


def uuid4() -> str:
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    return dashed(raw.hex())


def uuid7() -> str:
    """One that begins with the time, as codex gives them."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return dashed(raw.hex())


def dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def named(prefix: str) -> str:
    """An id as opencode makes them: the time, and letters that nobody guesses."""
    letters = "".join(_ALPHABET[byte % 62] for byte in os.urandom(14))
    return f"{prefix}_{int(time.time() * 4096) & 0xFFFFFFFFFFFF:012x}{letters}"


def timestamp() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


def write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
