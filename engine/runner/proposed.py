"""The change that a file tool would make, as a unified diff, before it is made. Nothing is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from engine.agents.asking import Change
from engine.decision import DIFF_LIMIT
from engine.permission import subject_of_path
from engine.runner.run_dir import read_regular

FILE_BYTES = 1 << 20  #: of a file that is compared; of a larger one only the replaced texts are shown


def proposed(change: Change, workspace: str) -> str:
    """The diff, cut at `DIFF_LIMIT` with a line that says so. Reads the file: call it in a thread."""
    name = subject_of_path(change.path, workspace)
    before = _read(Path(workspace) / change.path)
    after = _applied(change, before)
    if after is None or before is None:
        pairs = change.replaced if change.content is None else (("", change.content),)
    else:
        pairs = ((before, after),)
    text = "".join(part for old, new in pairs for part in _unified(old, new, name))
    return text if len(text) <= DIFF_LIMIT else text[:DIFF_LIMIT] + "\n… the rest is in the run directory\n"


def _applied(change: Change, before: str | None) -> str | None:
    """The text after the change; None where it cannot be told."""
    if change.content is not None:
        return change.content
    for old, new in change.replaced:
        if before is None or old not in before:
            return None
        before = before.replace(old, new, 1)
    return before


def _read(path: Path) -> str | None:
    """A file's text; empty for one that is not there, None for one that is too large."""
    data = read_regular(path, FILE_BYTES + 1)
    if data is None:
        return ""
    return data.decode(errors="replace") if len(data) <= FILE_BYTES else None


def _unified(old: str, new: str, name: str) -> Iterator[str]:
    lines = difflib.unified_diff(_lines(old), _lines(new), f"a/{name}", f"b/{name}", lineterm="")
    yield f"diff --git a/{name} b/{name}\n"
    for line in lines:
        yield f"{line}\n"


def _lines(text: str) -> list[str]:
    """Lines as a diff has them: only a newline ends one, and the last need not have it."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else [*lines[:-1], f"{lines[-1]}\n\\ No newline at end of file"]
