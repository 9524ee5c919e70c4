"""Reading what the agents print: tolerant JSON, and the few words in which it is told. Nothing here ever raises."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from functools import cache
from signal import Signals
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=2**53)]
Dollars = Annotated[float, Meta(ge=0, le=1e9)]
NOTHING = Raw(b"null")

OUTPUT_LIMIT = 2_000  #: characters of a tool's output in an event
REASON_LIMIT = 300  #: characters of the agent's own words in a reason
SUMMARY_LIMIT = 200  #: characters of a tool call's summary, of a notice, of an unknown line

#: Where a tool's arguments say what matters, the most telling first. Each agent has its own spelling.
_SUMMARY_KEYS = (
    "file_path", "filePath", "notebook_path", "absolute_path", "command", "cmd", "pattern", "url", "query",
    "description", "path", "dir_path", "skill", "name", "prompt",
)  # fmt: skip


def newest(kept: dict[str, T], most: int) -> None:
    """Forget the oldest of what was noted, down to so many: an agent may begin anything, and end none of it."""
    while len(kept) > most:
        del kept[next(iter(kept))]


def decode(data: bytes | Raw, into: type[T]) -> T | None:
    """The JSON value as `into`, or None where it is no JSON or not of that shape.

    A line with broken UTF-8 or half a surrogate pair, which a tool's cut output can leave, is mended first.
    """
    read = _decoder(into).decode  # type: ignore[arg-type]  # every type can be hashed
    found: T | None
    try:
        found = read(data)
    except msgspec.ValidationError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        mended = _mend(bytes(data))
        try:
            found = None if mended is None else read(mended)
        except (msgspec.MsgspecError, RecursionError):
            return None
    return found


@cache
def _decoder(into: Hashable) -> msgspec.json.Decoder[Any]:
    """Made once for each type: to find out what `list[X]` means takes longer than to read most lines."""
    return msgspec.json.Decoder(into, strict=False)


def _mend(data: bytes) -> bytes | None:
    if not data.lstrip().startswith((b"{", b"[", b'"')):
        return None
    try:
        return json.dumps(json.loads(data.decode(errors="replace")), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError):
        return None


def summary(given: Raw, cwd: str = "") -> str:
    """A tool's arguments in one line: the path, the command. Paths are shown relative to `cwd`."""
    values = decode(given, dict[str, object]) or {}
    for key in _SUMMARY_KEYS:
        if (value := _words(values, key)) is None:
            continue
        words = shown(value, cwd)
        if key == "pattern" and (path := _words(values, "path")) is not None:
            words += f" in {shown(path, cwd)}"
        return one_line(words, SUMMARY_LIMIT)
    return one_line(bytes(given).decode(errors="replace"), SUMMARY_LIMIT) if values else ""


def _words(values: dict[str, object], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) and value.strip() else None


def shown(path: str, cwd: str) -> str:
    """A path as the reader knows it: relative to where the agent works."""
    return path.removeprefix(cwd + "/") if cwd else path


def one_line(text: str, limit: int) -> str:
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def reason(what: str, words: str, *, last: bool = False) -> str:
    """One line. `last` keeps the end of a long quotation instead of its beginning."""
    line = " ".join(words.split())
    if len(line) > REASON_LIMIT:
        line = "…" + line[-REASON_LIMIT:] if last else line[:REASON_LIMIT] + "…"
    return f"{what}: {line}" if line else what


def refused(tools: Sequence[str]) -> str:
    """That tools were not used, and which: the first of them."""
    return reason("tool uses refused for want of permission", ", ".join(tools[:5]) + (" …" if tools[5:] else ""))


def signal_name(code: int) -> str:
    """The name of the signal in an exit code of 128 + N."""
    try:
        return Signals(code - 128).name
    except ValueError:
        return f"signal {code - 128}"


def moment(text: str | None) -> int | None:
    """An ISO 8601 time as milliseconds UTC; None for what is none. One without a zone is taken as UTC."""
    try:
        told = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return millis((told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp())


def clock(told: int | None) -> int | None:
    """Milliseconds UTC that somebody told; None for what no clock shows."""
    return told if told is not None and 0 < told < 1e14 else None


def millis(seconds: float | None) -> int | None:
    """Epoch seconds as milliseconds; None for what no clock shows. What can only be milliseconds is taken for these."""
    if seconds is not None and 1e11 <= seconds < 1e14:
        return round(seconds)
    return round(seconds * 1000) if seconds is not None and 0 < seconds < 1e11 else None
