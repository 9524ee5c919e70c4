"""Lines of ours in a repository's `info/exclude`: what git is not to see while an attempt runs.

The file belongs to all worktrees of a repository and to its user. Each attempt has a block of its own between two
lines that carry its marker, and exactly that goes again; what else is in the file stays byte for byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_GLOB = re.compile(r"([\\*?\[\] ])")


def pattern(path: str, *, folder: bool = True) -> str:
    """The line that excludes just this folder, or this file: its path below the top of the working tree."""
    return "/" + _GLOB.sub(r"\\\1", path.strip("/")) + ("/" if folder else "")


def add(file: Path, marker: str, patterns: Sequence[str]) -> None:
    """Put an attempt's block at the end. A plus says that it had to end the line before it. Raises `OSError`."""
    with _alone(file):
        text = _read(file)
        open_line = text and not text.endswith("\n")
        head = f"{chr(10) if open_line else ''}# headway{'+' if open_line else ''} {marker}: for as long as it runs"
        _write(file, "\n".join([text + head, *patterns, f"# headway {marker}: end", ""]))


def remove(file: Path, marker: str) -> None:
    """Take an attempt's block out, where it is there. Raises `OSError`."""
    if not file.exists():
        return
    with _alone(file):
        text = _read(file)
        name = re.escape(marker)
        head = rf"(?P<head>\n# headway\+ |^# headway ){name}: for as long as it runs\n"
        found = re.search(rf"{head}(?:.*\n)*?# headway {name}: end\n", text, flags=re.MULTILINE)
        if found is None:
            return
        before, after = text[: found.start()], text[found.end() :]
        if found["head"].startswith("\n") and after.startswith("# headway "):
            after = f"\n# headway+ {after.removeprefix('# headway ')}"  # the line's end is that block's to take away
        _write(file, before + after)


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Several engines may share a repository; git itself never writes this file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _write(file: Path, text: str) -> None:
    """Whole or not at all; where the file is a link, what it leads to."""
    file = file.resolve()
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    fresh = file.with_name(f"{file.name}.headway-{os.getpid()}")
    fresh.write_bytes(text.encode(errors="surrogateescape"))
    fresh.chmod(mode)
    fresh.replace(file)
