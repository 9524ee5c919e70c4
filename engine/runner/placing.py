"""Files of configuration that an attempt's agent only finds in its workspace: put there, and taken away again.

Only into a workspace that is the job's own, where nothing of that name is, and hidden from git. What was put is written
into the run directory first, so that any engine can take it away, also one that comes after a `kill -9`.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.runner import exclude
from engine.runner.git import GitError, git
from engine.runner.run_dir import RunDir, read_regular
from engine.runner.workspace import Placed

logger = logging.getLogger(__name__)

RECORD = "placed.json"  #: in the run directory
RECORD_BYTES = 1 << 16
FILE_BYTES = 1 << 20
OURS = ("worktrees", "work", "workers")  #: below the home: the workspaces that are the jobs' own


class Record(Struct, frozen=True):
    """What was put where."""

    files: dict[str, str]
    """Their paths, with a digest of what was put there."""
    made: list[str]
    """Directories that had to be made for them, the deepest last."""
    root: str
    exclude: str | None
    marker: str


async def place(files: Mapping[str, bytes], placed: Placed, run: RunDir, marker: str) -> bool:
    """Put files below a workspace, all or none: False where one of them has no place there. Raises `OSError`."""
    root = placed.root or placed.directory
    targets = {placed.directory / name: content for name, content in files.items()}
    if not _ours(root, run) or any(_taken(target, root) for target in targets):
        return False
    try:
        path = "rev-parse", "--path-format=absolute", "--git-path", "info/exclude"
        hidden = Path(await git(placed.root, *path)) if placed.root is not None else None
    except GitError:
        return False
    above = [part for target in targets for part in reversed(target.parents)]
    made = [str(part) for part in dict.fromkeys(above) if part.is_relative_to(root) and not part.exists()]
    record = Record(
        files={str(target): _digest(content) for target, content in targets.items()},
        made=made,
        root=str(root),
        exclude=str(hidden) if hidden is not None else None,
        marker=f"{marker}-files",
    )
    (run.path / RECORD).write_bytes(msgspec.json.encode(record))
    if hidden is not None:
        lines = [exclude.pattern(str(target.relative_to(root))).rstrip("/") for target in targets]
        exclude.add(hidden, record.marker, lines)
    for target, content in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return True


def take_away(run: RunDir) -> None:
    """Leave the workspace as it would be without them. Does nothing a second time. Raises `OSError`.

    The file that says what to remove lies where the agent could write: it is believed of our own folders alone.
    """
    try:
        record = msgspec.json.decode(read_regular(run.path / RECORD, RECORD_BYTES) or b"", type=Record)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return
    root = Path(record.root)
    if not _ours(root, run):
        logger.warning("%s names %s, which is no workspace of this home", run.path / RECORD, root)
        return
    for name, was in record.files.items():
        file = Path(name)
        if _leads(file, root) and _digest(read_regular(file, FILE_BYTES) or b"") == was:
            file.unlink()
    for name in reversed(record.made):
        folder = Path(name)
        if _leads(folder, root) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if record.exclude is not None and Path(record.exclude).parts[-2:] == ("info", "exclude"):
        exclude.remove(Path(record.exclude), record.marker)
    (run.path / RECORD).unlink(missing_ok=True)


def _ours(root: Path, run: RunDir) -> bool:
    home = run.path.parents[2]
    return ".." not in root.parts and any(root.is_relative_to(home / ours) and root != home / ours for ours in OURS)


def _taken(target: Path, root: Path) -> bool:
    """Something is there, or what leads there is no directory of the workspace."""
    above = [part for part in target.parents if part.is_relative_to(root) and part != root]
    return os.path.lexists(target) or any(part.is_symlink() or (part.exists() and not part.is_dir()) for part in above)


def _leads(path: Path, root: Path) -> bool:
    """Whether it lies in the workspace, and no link on the way leads out of that."""
    if ".." in path.parts or not path.is_relative_to(root) or path == root:
        return False
    return not any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(root) and part != root)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
