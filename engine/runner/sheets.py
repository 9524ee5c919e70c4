"""The file of a workspace in which an agent looks for what always holds: AGENTS.md, GEMINI.md.

It is only put where there is none. Where the user has one, a further one that the agent reads in its place holds his
text and ours after it; his own file is not touched. Ours stands between two lines: what an agent adds around it is its
own work, and stays.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

BEGIN = "<!-- headway: for this attempt alone; taken away when it ends -->"
END = "<!-- headway: end -->"
THEIRS_LIMIT = 1 << 20  #: bytes of the user's file; a larger one is not copied

_OURS = re.compile(rf"{re.escape(BEGIN)}.*?{re.escape(END)}\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file to be put. `theirs`: the user's text, which comes first."""

    path: Path
    text: str
    theirs: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """What an agent calls its file. `instead`: what it reads in place of that where both are there, if any."""

    usual: str
    instead: str = ""


def choose(directory: Path, names: Names) -> tuple[Path, str] | None:
    """Where ours can be put and what of the user's it has to hold; None where there is no place for it."""
    usual = directory / names.usual
    instead = directory / names.instead if names.instead else None
    if instead is not None and os.path.lexists(instead):
        return None
    if not os.path.lexists(usual):
        return usual, ""
    if instead is None:
        return None
    theirs = _read(usual)
    return (instead, theirs) if theirs is not None else None


def put(sheet: Sheet) -> None:
    """Write it, never over one that is there. Raises `OSError`."""
    theirs = f"{sheet.theirs.rstrip()}\n\n" if sheet.theirs.strip() else ""
    ours = sheet.text.replace(END, "").replace(BEGIN, "").strip()
    with sheet.path.open("x", encoding="utf-8", errors="replace") as file:
        file.write(f"{theirs}{BEGIN}\n{ours}\n{END}\n")


def take_away(path: Path, aside: Path) -> None:
    """Leave nothing of ours. What an agent wrote around it stays where the file is its own, and goes `aside` else."""
    if path.is_symlink() or not path.is_file():
        return
    text = _read(path)
    if text is None or (BEGIN not in text and END not in text):
        return  # the agent has put something of its own there
    rest = _OURS.sub("", text)
    if BEGIN in rest or END in rest:
        _put_aside(path, text, aside)
        path.unlink()
        return
    theirs = _read(path.with_name(_usual_of(path.name))) if _usual_of(path.name) else None
    if not rest.strip() or (theirs is not None and rest.strip() == theirs.strip()):
        path.unlink()
    elif theirs is not None:
        _put_aside(path, rest, aside)
        path.unlink()
    else:
        path.write_text(rest.lstrip("\n"), encoding="utf-8", errors="replace")


def _usual_of(name: str) -> str:
    """Of a file that is read in place of another one, that other one."""
    return name.replace(".override", "") if ".override" in name else ""


def _put_aside(path: Path, text: str, aside: Path) -> None:
    aside.mkdir(parents=True, exist_ok=True)
    (aside / path.name).write_text(text, encoding="utf-8", errors="replace")
    logger.info("what the agent changed of %s is kept in %s", path, aside)


def _read(path: Path) -> str | None:
    try:
        if path.stat().st_size > THEIRS_LIMIT:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
