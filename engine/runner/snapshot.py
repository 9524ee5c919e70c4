"""A working tree as a git tree object, and how it differs from another, without touching anybody's index.

Each look has a directory of its own below the run's. An engine that is killed leaves the git that it had called: that
goes on, holds the lock of its index, and would write its diff into the one of the next engine.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.model import DiffStat
from engine.runner.git import git
from engine.runner.hidden import add_all, unhide
from engine.runner.run_dir import RunDir

#: Unlike `git diff` this does not ask how a person likes to see differences: prefixes, context, text conversion.
_DIFF = ("diff-tree", "-r", "-M", "--no-color", "--no-ext-diff", "--no-textconv")

_LOOK = "look-"  #: what the names of these directories begin with


@dataclass(frozen=True, slots=True)
class Looked:
    """A working tree as a git tree object, and how it differs from the base."""

    tree: str
    diff: DiffStat


async def measure(root: Path, base: str, run: RunDir) -> Looked:
    """Write what differs from the commit or tree `base` into the run's `diff.patch`, whole or not at all."""
    with _look(run) as here:
        tree, whole = await _take(root, here)
        patch = here / "diff.patch"
        with patch.open("wb") as file:
            await git(root, *_DIFF, "--patch", "--binary", base, tree, stdout=file.fileno())
        counted = await git(root, *_DIFF, "--numstat", base, tree)
        patch.replace(run.diff)
    added = removed = files = 0
    for line in filter(None, counted.split("\n")):  # a name may hold what `splitlines` takes for a line's end
        plus, minus, _ = line.split("\t", 2)
        files += 1
        added += int(plus) if plus.isdigit() else 0
        removed += int(minus) if minus.isdigit() else 0
    return Looked(tree, DiffStat(files=files, added=added, removed=removed, whole=whole))


async def take(root: Path, run: RunDir) -> tuple[str, bool]:
    """The working tree as a git tree object: tracked and untracked files, without the ignored ones.

    And whether everything could be put into it: an empty repository inside, for one, cannot.
    """
    with _look(run) as here:
        return await _take(root, here)


@contextlib.contextmanager
def _look(run: RunDir) -> Iterator[Path]:
    for left in run.path.glob(f"{_LOOK}*"):  # of an engine that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_LOOK, dir=run.path, ignore_cleanup_errors=True) as here:
        yield Path(here)


async def _take(root: Path, here: Path) -> tuple[str, bool]:
    index = here / "index"
    own = Path(await git(root, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    if own.exists():
        # What git knows of unchanged files spares it from reading them. With its time, by which git knows that a
        # file was changed in the very second in which the index was written: it looks into those.
        shutil.copy2(own, index)
    env = {"GIT_INDEX_FILE": str(index), "GIT_OPTIONAL_LOCKS": "1"}
    await unhide(root, env)
    whole = await add_all(root, env)
    return await git(root, "write-tree", env=env), whole
