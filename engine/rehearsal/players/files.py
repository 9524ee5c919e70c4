"""Files of the working directory, and what changes in them."""
# pathlib would cost half the start:
# ruff: noqa: PTH103, PTH120, PTH123

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.rehearsal.players.wire import Json

CONTEXT_LINES = 3  #: unchanged lines around a change in a patch


class NoSuchFileError(Exception):
    """There is no file to edit."""


class NoSuchTextError(Exception):
    """What should be replaced is not in the file."""


def write_file(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read_file(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def replace_text(path: str, old: str, new: str) -> tuple[str, str]:
    """Replace the first `old`. Returns the file as it was and as it is."""
    before = read_file(path)
    if before is None:
        raise NoSuchFileError(path)
    if old not in before:
        raise NoSuchTextError(path)
    after = before.replace(old, new, 1)
    write_file(path, after)
    return before, after


def lay_out(files: dict[str, str]) -> None:
    """Put a project into a working directory that has nothing but perhaps a repository."""
    if not [name for name in os.listdir() if name != ".git"]:
        for path, text in files.items():
            write_file(path, text)


def patch(before: str, after: str) -> list[Json]:
    """claude's `structuredPatch`: one hunk from the first changed line to the last."""
    old, new = before.splitlines(), after.splitlines()
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    end = next((n for n in range(shorter - start) if old[-1 - n] != new[-1 - n]), shorter - start)
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    if not gone and not come:
        return []
    first = max(0, start - CONTEXT_LINES)
    head, tail = old[first:start], old[len(old) - end :][:CONTEXT_LINES]
    lines = [" " + x for x in head] + ["-" + x for x in gone] + ["+" + x for x in come] + [" " + x for x in tail]
    hunk: Json = {"oldStart": first + 1, "oldLines": len(head) + len(gone) + len(tail), "newStart": first + 1}
    return [{**hunk, "newLines": len(head) + len(come) + len(tail), "lines": lines}]
