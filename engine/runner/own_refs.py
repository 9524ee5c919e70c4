"""The branch of a job in a sandbox: its agent moves a copy, and the engine moves the branch itself.

Git replaces a ref's file by another one, so whoever may move a branch may write in the directory of all that lie beside
it. An attempt in a sandbox is therefore given a directory of its own in the place of that one, with copies in it. What
becomes of its own branch there is taken over once it has ended, and whenever somebody looks at its work.
"""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.runner.git import GitError, git
from engine.runner.run_dir import RunDir, read_regular

logger = logging.getLogger(__name__)

FOLDER = "refs"  #: of a run directory
_BRANCHES, _LOGS = Path("refs", "heads"), Path("logs", "refs", "heads")
_NAME = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n?")  #: what the file of a branch holds


@dataclass(frozen=True, slots=True)
class Laid:
    """A directory that takes the place of another one."""

    source: Path
    place: Path


def lend(common: Path, branch: str, run: RunDir) -> tuple[Laid, ...]:
    """Directories for an attempt to lay over those of its branch and of its branch's log. `common`: the repository."""
    beside = Path(branch).parent
    folder = run.path / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    laid = []
    for what, where in (("heads", _BRANCHES), ("logs", _LOGS)):
        place = common / where / beside
        place.mkdir(parents=True, exist_ok=True)
        laid.append(Laid(folder / what, place))
    shutil.copytree(laid[0].place, laid[0].source, symlinks=True)
    laid[1].source.mkdir(parents=True)
    return tuple(laid)


async def take_back(root: Path, branch: str | None, run: RunDir, *, ended: bool = False) -> None:
    """Move a job's branch to where its agent has moved its copy. What is no commit of the repository is not taken.

    `root` is the job's worktree. Once the attempt has `ended`, it stands on that branch, or on a commit and no branch:
    what is done there later moves no other.
    """
    if branch is None or not (run.path / FOLDER).is_dir():
        return
    if (name := _said(run, branch)) is not None:
        await _move(root, branch, name)
    if ended:
        await _let_go(root, branch, run)


def _said(run: RunDir, branch: str) -> str | None:
    """Where an agent has moved its copy of a branch; None where it has deleted it."""
    said = read_regular(run.path / FOLDER / "heads" / Path(branch).name, 80)
    found = _NAME.fullmatch(said or b"")
    return found[1].decode() if found is not None else None


async def _let_go(root: Path, branch: str, run: RunDir) -> None:
    """Of any other branch that the worktree stands on, which is somebody's or is in the copies alone."""
    try:
        head = await git(root, "symbolic-ref", "--quiet", "HEAD")
    except GitError:
        return  # it stands on none
    if head == f"refs/heads/{branch}":
        return
    name = _said(run, head) if Path(head).parent == _BRANCHES / Path(branch).parent else None
    try:
        name = name or await git(root, "rev-parse", "--verify", f"{head}^{{commit}}")
    except GitError:
        name = f"refs/heads/{branch}"
    try:
        await git(root, "update-ref", "--no-deref", "HEAD", name)
    except GitError as error:
        logger.warning("%s stands on %s still: %s", root, head, error)


async def _move(root: Path, branch: str, name: str) -> None:
    try:
        if await git(root, "rev-parse", "--verify", f"refs/heads/{branch}") == name:
            return
        await git(root, "rev-parse", "--verify", f"{name}^{{commit}}")
        await git(root, "update-ref", "--create-reflog", "-m", "an attempt in a sandbox", f"refs/heads/{branch}", name)
    except GitError as error:
        logger.warning("the branch %s is not moved to %s: %s", branch, name, error)
