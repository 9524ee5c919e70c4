"""Where a workspace begins, found in ways that what works in it cannot bend.

An agent that may write in a repository may put a symbolic link, or a repository of its own with a configuration of its
own, where a project's directory was. Git asked in that directory would then tell of that place, and the engine, which
is in no sandbox, would work there, and let the next attempt write there.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from engine.errors import RefusedError

ANCHORS = "anchors"  #: below the home: where projects were when they were first worked in by an agent in a sandbox


def root_below(home: Path, directory: Path) -> Path | None:
    """The worktree of this home that a directory is in; None for a directory elsewhere.

    The outermost one: that is the engine's. What lies in it is an agent's.
    """
    if not directory.is_relative_to(home):
        return None
    step = home
    for name in directory.relative_to(home).parts:
        step = step / name
        if os.path.lexists(step / ".git"):
            return step
    return None


def stays_inside(directory: Path, root: Path) -> Path:
    """A directory as it is without links. Raises `RefusedError` where one leads it out of its root."""
    real = directory.resolve()
    if not real.is_relative_to(root.resolve()):
        raise RefusedError(f"{directory} leads to {real}, out of its workspace {root}: something there is a link now")
    return real


def held_to(home: Path, directory: Path) -> Path | None:
    """The repository that a project was found in when it was first worked in in a sandbox; None where it never was.

    Raises `RefusedError` where the project is not there any more.
    """
    file = _anchor(home, directory)
    if not file.is_file():
        return None
    _, _, top = file.read_text(errors="surrogateescape").rstrip("\n").partition("\n")
    if not top:
        return None
    stays_inside(directory, Path(top))
    return Path(top)


def _anchor(home: Path, directory: Path) -> Path:
    return home / ANCHORS / hashlib.sha256(os.fsencode(directory)).hexdigest()[:32]


def anchored(home: Path, directory: Path, top: Path | None) -> None:
    """Hold a project to where it was first found. `top`: its repository, as git tells it now.

    Raises `RefusedError` where it is somewhere else now, or lies within another one that agents write in.
    """
    real, now = directory.resolve(), f"{directory.resolve()}\n{top.resolve() if top is not None else ''}\n"
    folder = home / ANCHORS
    file = _anchor(home, directory)
    if file.is_file():
        if (then := file.read_text(errors="surrogateescape")) != now:
            where, _, rest = then.partition("\n")
            told = " in the repository ".join(filter(None, (where, rest.strip())))
            raise RefusedError(
                f"the project {directory} was {told}, and is now {' in the repository '.join(now.split())}. An agent "
                f"may have put something in its place: look there; if it is right so, remove {file}"
            )
        return
    for other in folder.iterdir() if folder.is_dir() else ():
        there = other.read_text(errors="surrogateescape").split("\n")
        outer = Path(there[1] or there[0])
        if real != outer and real.is_relative_to(outer) and (top is None or top.resolve() != outer):
            raise RefusedError(
                f"the project {directory} lies in {outer}, where agents may write, and is no part of that repository: "
                "an agent may have put it there; move it, or run it without a sandbox"
            )
    folder.mkdir(mode=0o700, exist_ok=True)
    file.write_text(now, errors="surrogateescape")
