"""The core of memory: one Markdown file for each scope, written by people, told to every job of its scope.

`memory/global.md`, `memory/projects/<name>-<sum>.md`, `memory/personas/<name>.md` in the home.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import RefusedError, StorageError
from engine.memory.answers import CorePart
from engine.memory.files import FOLDER
from engine.memory.item import GLOBAL, PERSONA, PROJECT, width
from engine.units import tokens

LINE_BYTES = 2_000  #: of one line that are told; a longer one is no line of a core
FILE_BYTES = 1 << 20  #: a larger file is something else

_SIGNS = re.compile(r"[^A-Za-z0-9._-]+")
_OF = "<!-- {scope} -->\n"  #: the first line of a project's file says whose it is: its name holds only a sum


def path_of(home: Path, scope: str) -> Path:
    """Where the core file of a scope is, whether there is one or not."""
    folder = home / FOLDER
    if scope == GLOBAL:
        return folder / "global.md"
    if scope.startswith(PERSONA):
        return folder / "personas" / f"{scope.removeprefix(PERSONA)}.md"
    directory = scope.removeprefix(PROJECT)
    name = _SIGNS.sub("-", Path(directory).name) or "root"
    return folder / "projects" / f"{name}-{hashlib.sha256(directory.encode()).hexdigest()[:12]}.md"


def read(home: Path, scope: str) -> str:
    """The text of a core file; empty where there is none. Raises `StorageError`."""
    path = path_of(home, scope)
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    return text.removeprefix(_OF.format(scope=scope))


def write(home: Path, scope: str, text: str, cap: int) -> CorePart:
    """Put a text in the place of a core file; an empty one removes it. Raises `RefusedError` past the cap of lines."""
    lines = text.strip().splitlines()
    if len(lines) > cap:
        raise RefusedError(
            f"it has {len(lines)} lines, and {cap} are told: shorten it, or raise memory.core_lines in headway.yaml"
        )
    path = path_of(home, scope)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if lines:
            head = _OF.format(scope=scope) if scope.startswith(PROJECT) else ""
            draft = path.with_name(f".{path.name}.new")
            draft.write_text(head + text.strip() + "\n", encoding="utf-8", errors="replace")
            draft.chmod(0o600)
            draft.replace(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    return part(home, scope, cap)


def part(home: Path, scope: str, cap: int, redact: Callable[[str], str] = str) -> CorePart:
    """A core file as it is told. Whoever edited it may have put a key into it: those that are known are left out."""
    lines = [line[:LINE_BYTES] for line in read(home, scope).strip().splitlines()]
    text = redact("\n".join(lines[:cap]))
    return CorePart(
        scope=scope,
        path=str(path_of(home, scope)),
        text=text,
        tokens=tokens(text),
        lines=len(lines),
        cut=max(0, len(lines) - cap),
    )


def parts(home: Path, scopes: Sequence[str], cap: int, redact: Callable[[str], str]) -> list[CorePart]:
    """Those of some scopes that say something, the widest first: what is said later stands nearer to the task."""
    widest_first = sorted(scopes, key=width, reverse=True)
    found = [part(home, scope, cap, redact) for scope in widest_first]
    return [one for one in found if one.text.strip()]
