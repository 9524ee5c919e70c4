"""Words of an agent, before they are kept or shown: without what only a terminal understands. Pure."""

from __future__ import annotations

import re

#: Sequences by which a terminal is told to do something: CSI, OSC and the other strings, and two-byte escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
#: Control characters but tab and newline, and those that turn the direction of a text around.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """The text as it may stand on a screen, with its lines."""
    return _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n"))).strip()


def one_line(text: str, limit: int) -> str:
    """The same in one line of so many characters at most."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
