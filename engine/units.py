"""Durations and sizes as people write them, and what a text takes of a prompt."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)(?:i?[bB])?")
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

CHARACTERS_A_TOKEN = 4  #: of English text and code, as the models' own tools estimate it
LONGEST_MS = 253_402_300_800_000  #: no span needs to be longer than from 1970 to the year 10000


def milliseconds(value: str | float) -> int:
    """A span: a number of seconds, or `500ms`, `90s`, `15m`, `2h`, `1d`, `1w`. Raises `ValueError` in plain words."""
    found = _DURATION.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{str(value)[:60]!r} is no span of time; write 90s, 15m, 2h or 1d")
    # Cut before it is made an integer: a float may be infinite.
    return round(min(float(found[1]) * _MS[found[2] or "s"], LONGEST_MS))


def span(ms: float) -> str:
    """A span of time as a person says it: `0.5s`, `45s`, `30m`, `2h 5m`."""
    seconds = ms / 1000
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count:.0f}{unit}")
    return " ".join(parts[:2])


def size(value: str | float) -> int:
    """Bytes: a number, or `500M`, `2G`, in powers of 1,024. Raises `ValueError` in plain words."""
    found = _SIZE.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{str(value)[:60]!r} is no size; write 500M or 2G")
    return round(min(float(found[1]) * _BYTES[found[2].lower()], 1 << 60))


def amount(count: int) -> str:
    """Bytes as a person says them: `1.5 GiB`."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} bytes"


def tokens(text: str) -> int:
    """About how many tokens a text takes."""
    return -(-len(text) // CHARACTERS_A_TOKEN)
