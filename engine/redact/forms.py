"""The ways in which one secret can stand in a text: as it is, and as others write it. Pure."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

#: A line's end in the middle of a secret: a terminal's, a mail's, one inside a string of JSON.
_BREAK = rb"(?:\\r\\n|\\n|\\r|\r\n|\n|\r)"
BREAK_BYTES = 4  #: the longest of them
PIECE_BYTES = 16  #: of a secret; one piece of it is whole however its lines are broken
SHORTEST_CODE = 8  #: bytes of base64 that are still nobody else's
LINE_BYTES = 16  #: of a line of a secret that has several; a shorter one stands in other texts too
_BROKEN_BYTES = 4_096  #: a longer secret is looked for in one piece: its pattern would be as long


@dataclass(frozen=True)
class Form:
    """One way to write a secret."""

    data: bytes
    word: bool = False
    """It counts only where it stands by itself: `postgres` is a password here and a part of a path there."""

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Finds it, also with its lines broken somewhere."""
        if self.word:
            return re.compile(rb"(?<![A-Za-z0-9_/.-])" + re.escape(self.data) + rb"(?![A-Za-z0-9_/.-])")
        if len(self.data) > _BROKEN_BYTES:
            return re.compile(re.escape(self.data))
        between = _BREAK + rb"?"
        return re.compile(between.join(re.escape(self.data[at : at + 1]) for at in range(len(self.data))))

    def pieces(self) -> list[tuple[int, bytes]]:
        """Parts of it, each with its place: where it stands in a text, one of them stands whole."""
        size = max(1, min(PIECE_BYTES, len(self.data) // 2))
        return [(at, self.data[at : at + size]) for at in range(0, len(self.data) - size + 1, size)]

    def room(self, count: int) -> int:
        """What so many bytes of it can take with breaks between them."""
        return count + BREAK_BYTES * (count // 8 + 2)


def forms_of(value: str) -> set[Form]:
    """A secret as it is; escaped in JSON and in an address; in base64, wherever it begins in it, and in hexadecimal.

    The lines of one that has several count by themselves too.
    """
    whole = value.encode("utf-8", "surrogatepass")
    found = {whole, *_escaped(value), quote(value, safe="", errors="replace").encode()}
    found |= {code for code in _base64(whole) if len(code) >= SHORTEST_CODE}
    found |= {whole.hex().encode(), whole.hex().upper().encode()}
    lines = whole.splitlines()
    if len(lines) > 1:
        found |= {line for line in lines if len(line) >= LINE_BYTES and not line.startswith(b"-----")}
    return {Form(one) for one in found}


def _escaped(value: str) -> set[bytes]:
    told = json.dumps(value)[1:-1]
    raw = json.dumps(value, ensure_ascii=False)[1:-1]
    return {one.encode("utf-8", "surrogatepass") for one in (told, raw, raw.replace("/", "\\/"))}


def _base64(data: bytes) -> set[bytes]:
    """What is the same whatever stands before and behind it, for the three places where it can begin."""
    found = set()
    for before in range(3):
        code = base64.b64encode(bytes(before) + data)
        own = code[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        found |= {own, own.translate(bytes.maketrans(b"+/", b"-_"))}
    return found
