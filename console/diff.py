"""A unified diff as coloured lines, without the noise that only a program reads."""

from __future__ import annotations

from console.format import clean_lines, number
from console.roles import Role
from console.sizes import DIFF_LINES
from console.transcript import Entry

_NOISE = ("index ", "--- ", "similarity index", "old mode", "new mode")


def diff_entries(text: str) -> list[Entry]:
    """The lines of a unified diff with the roles of what they are; at most `DIFF_LINES`, and then how many more."""
    entries: list[Entry] = []
    in_header = False
    lines = clean_lines(text.rstrip("\n"))
    for line in lines[:DIFF_LINES]:
        if line.startswith("diff --git "):
            in_header = True
            if entries:
                entries.append(Entry((("", Role.TEXT),)))
            entries.append(Entry(((line.rsplit(" b/", 1)[-1], Role.HEADING),)))
        elif line.startswith("@@"):
            in_header = False
            entries.append(Entry(((line, Role.ACCENT),)))
        elif in_header:
            if not line.startswith((*_NOISE, "+++ ")):
                entries.append(Entry(((line, Role.MUTED),)))
        else:
            entries.append(Entry(((line, _role_of(line)),)))
    if len(lines) > DIFF_LINES:
        entries.append(Entry(((f"{number(len(lines) - DIFF_LINES)} more lines", Role.MUTED),)))
    return entries


def _role_of(line: str) -> Role:
    if line.startswith("+"):
        return Role.ADDED
    if line.startswith("-"):
        return Role.REMOVED
    return Role.TEXT
