"""Untrusted text as it may stand on a screen, in a list, a log or a notice: the one decision for all of them. Pure.

Whatever an agent, a repository or a provider wrote can hold what only a terminal understands: colours, titles, links,
the clipboard, the cursor. None of it reaches the operator's terminal.
"""

from __future__ import annotations

import re

MORE = "…"  #: ends a line that was cut
TABS = 8  #: one after another that are kept: more are a flood

#: Sequences by which a terminal is told to do something: operating-system commands (titles, links, the clipboard) and
#: the other strings, which end in BEL or ST, an unfinished one with its line; CSI; and the two-byte ones.
_SEQUENCES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
#: Controls but newline and tab, in 7 and in 8 bits; what turns the direction of a text around or is not seen at all;
#: half characters, which nothing can encode.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_TABS = re.compile(f"\t{{{TABS},}}")


def plain(text: str) -> str:
    """The text without sequences and controls. Newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _TABS.sub("\t" * TABS, _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n"))))


def plain_line(text: str, limit: int | None = None) -> str:
    """The same as one line, of so many characters at most."""
    line = " ".join(plain(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - len(MORE)] + MORE


def is_plain(text: str) -> bool:
    """Whether nothing would be taken out of it."""
    return plain(text) == text
