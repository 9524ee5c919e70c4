"""A unified diff as git writes it, file by file. Pure, and never raises: what it cannot read it leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEAD = re.compile(r"^diff --git (?:\"?a/.*)$")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was added or removed. `number`: of the file after it, or before it."""

    number: int
    text: str


@dataclass(slots=True)
class FilePatch:
    """What became of one file. `old` and `new` are None where there was or is none of it."""

    old: str | None
    new: str | None
    added: list[Line] = field(default_factory=list)
    removed: list[Line] = field(default_factory=list)
    binary: bool = False

    @property
    def path(self) -> str:
        return self.new or self.old or ""

    @property
    def deleted(self) -> bool:
        return self.new is None


def files(patch: str) -> list[FilePatch]:
    """The files of a diff, in its order."""
    found: list[FilePatch] = []
    lines = iter(patch.split("\n"))
    waiting = next(lines, None)
    while waiting is not None:
        if not _HEAD.match(waiting):
            waiting = next(lines, None)
            continue
        one, waiting = _file(waiting, lines)
        found.append(one)
    return found


def _file(head: str, lines: Iterator[str]) -> tuple[FilePatch, str | None]:
    """A file, and the line that is no more of it."""
    one = FilePatch(*_names(head))
    for line in lines:
        if _HEAD.match(line):
            return one, line
        if line.startswith("deleted file mode"):
            one.new = None
        elif line.startswith("new file mode"):
            one.old = None
        elif line.startswith("rename from "):
            one.old = _unquoted(line.removeprefix("rename from "))
        elif line.startswith("rename to "):
            one.new = _unquoted(line.removeprefix("rename to "))
        elif line.startswith("--- ") and one.old is not None:
            one.old = _sided(line[4:], "a/", one.old)
        elif line.startswith("+++ ") and one.new is not None:
            one.new = _sided(line[4:], "b/", one.new)
        elif line.startswith(("Binary files ", "GIT binary patch")):
            one.binary = True
        elif (hunk := _HUNK.match(line)) is not None:
            _hunk(one, hunk, lines)
    return one, None


def _hunk(one: FilePatch, hunk: re.Match[str], lines: Iterator[str]) -> None:
    """By its own counts: a line of the file may look like a header."""
    old, new = int(hunk[1]), int(hunk[3])
    left = int(hunk[2]) if hunk[2] is not None else 1
    right = int(hunk[4]) if hunk[4] is not None else 1
    while left > 0 or right > 0:
        line = next(lines, None)
        if line is None:
            return
        match line[:1]:
            case "-":
                one.removed.append(Line(old, line[1:]))
                old, left = old + 1, left - 1
            case "+":
                one.added.append(Line(new, line[1:]))
                new, right = new + 1, right - 1
            case "\\":
                continue  # no newline at the end of the file
            case _:
                old, left, new, right = old + 1, left - 1, new + 1, right - 1


def _names(head: str) -> tuple[str | None, str | None]:
    """Both names of a header, as far as it tells them apart. Where it does not, the lines below do."""
    rest = head.removeprefix("diff --git ")
    if rest.startswith('"'):
        end = re.match(r'"((?:[^"\\]|\\.)*)"', rest)
        first = _unquoted(end[0]) if end is not None else rest
        return first.removeprefix("a/"), first.removeprefix("a/")
    half = len(rest) // 2  # the same name twice, with a blank between: what is renamed says so below
    if rest[half : half + 1] == " " and rest[2:half] == rest[half + 3 :]:
        return rest[2:half], rest[2:half]
    first, _, second = rest.partition(" b/")
    return first.removeprefix("a/"), second


def _sided(name: str, side: str, known: str) -> str:
    name = _unquoted(name.rstrip("\t"))
    return name.removeprefix(side) if name.startswith(side) else known


def _unquoted(name: str) -> str:
    """A name that git put between quotes, as it does with a quote, a backslash or a newline in it."""
    if not (len(name) > 1 and name.startswith('"') and name.endswith('"')):
        return name
    body = name[1:-1].encode("utf-8", "surrogateescape")

    def plain(found: re.Match[bytes]) -> bytes:
        said = found[1]
        return bytes([int(said, 8) & 0xFF]) if said.isdigit() else _LETTERS.get(said, said)

    return _ESCAPE.sub(plain, body).decode("utf-8", "replace")
