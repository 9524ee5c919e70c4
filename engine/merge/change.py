"""A job's work as a commit, and that commit on top of a branch. Only objects and refs of ours are made here.

Agents mostly leave their work uncommitted, so what counts is the worktree as it stands: tracked and untracked files,
without the ignored ones. On the branch it becomes one commit, so that each commit there is one that was checked.
Nothing in a working tree is touched, whatever this is interrupted by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RefusedError
from engine.model import Conflict
from engine.runner import snapshot
from engine.runner.git import GitError, git, tried
from engine.runner.hidden import NUL, split
from engine.runner.run_dir import RunDir
from engine.runner.set_back import WHO

HUNK_CHARS = 6_000  #: of one file's places in conflict, as a card and the log keep them
MARK = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( .*)?$")
_UNMERGED = 1  #: what `git merge-tree` exits with where there are conflicts


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of putting a commit on top of another one. `tree` has the marks in it where there are conflicts."""

    tree: str
    conflicts: tuple[Conflict, ...] = ()


async def identity(repository: Path) -> Mapping[str, str]:
    """Who commits: whom git is configured for, else Headway itself."""
    try:
        await git(repository, "var", "GIT_COMMITTER_IDENT")
        await git(repository, "var", "GIT_AUTHOR_IDENT")
    except GitError:
        return WHO
    return {}


async def work_of(root: Path, run: RunDir, message: str) -> str:
    """A commit of what stands in a job's worktree. Its branch and its index are left alone.

    Raises `RefusedError` where git cannot take all of it, and `GitError`.
    """
    run.make()
    tree, whole = await snapshot.take(root, run)
    if not whole:
        raise RefusedError(f"git cannot take all of {root}: see with `git add --all` there what it is")
    head = await git(root, "rev-parse", "HEAD")
    if tree == await git(root, "rev-parse", f"{head}^{{tree}}"):
        return head
    return await commit(root, tree, (head,), message)


async def commit(repository: Path, tree: str, parents: Sequence[str], message: str) -> str:
    """A new commit, on no branch."""
    named = [part for one in parents for part in ("-p", one)]
    who = await identity(repository)
    return await git(repository, "commit-tree", tree, *named, "-F", "-", env=who, stdin=message.encode())


async def put_on(repository: Path, onto: str, source: str) -> Merged:
    """The tree that a branch at `onto` has with the work of `source` in it."""
    arguments = ("merge-tree", "--write-tree", "--name-only", "-z", "--messages", onto, source)
    done = await tried(repository, *arguments)
    if done.code not in (0, _UNMERGED):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(f"git merge-tree in {repository}: {said[-1] if said else f'exit {done.code}'}")
    tree, _, rest = done.stdout.decode(errors="surrogateescape").partition(NUL)
    if done.code == 0:
        return Merged(tree)
    files, _, told = rest.partition(NUL + NUL)
    words = _words(told)
    names = dict.fromkeys(split(files))
    return Merged(
        tree,
        tuple([
            Conflict(_readable(name), words.get(name, "content"), await _hunks(repository, tree, name))
            for name in names
        ]),
    )  # fmt: skip


async def files_between(repository: Path, one: str, other: str) -> list[str]:
    """The files in which two trees differ."""
    found = split(await git(repository, "diff-tree", "-r", "--no-renames", "--name-only", "-z", one, other))
    return [_readable(name) for name in found]


async def marks_left(repository: Path, onto: str, candidate: str) -> list[str]:
    """The files into which a commit brings marks of a conflict: all of them, as a line of ======= may be a heading."""
    done = await tried(repository, "diff-tree", "--check", "-r", onto, candidate)
    told = done.stdout.decode(errors="surrogateescape").splitlines()
    names = dict.fromkeys(line.rsplit(":", 2)[0] for line in told if line.endswith("leftover conflict marker"))
    found = []
    for name in names:
        lines = (await git(repository, "cat-file", "blob", f"{candidate}:{name}")).splitlines()
        if {mark[1][0] for line in lines if (mark := MARK.match(line))} >= {"<", "=", ">"}:
            found.append(_readable(name))
    return found


async def _hunks(repository: Path, tree: str, name: str) -> str:
    try:
        text = await git(repository, "cat-file", "blob", f"{tree}:{name}")
    except GitError:
        return ""  # it is deleted on one side, or is no file there
    kept: list[str] = []
    within = False
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.match(line)
        if mark and mark[1].startswith("<"):
            within = True
            kept.append(f"line {number}:")
        if within:
            kept.append(line)
        if mark and mark[1].startswith(">"):
            within = False
    told = _readable("\n".join(kept))
    return told if len(told) <= HUNK_CHARS else f"{told[:HUNK_CHARS]}\n[... {len(told) - HUNK_CHARS:,} characters more]"


def _words(told: str) -> dict[str, str]:
    """What git says of each file: `N paths, the paths, a kind, a message`, again and again, with NULs between."""
    found: dict[str, str] = {}
    parts = iter(told.split(NUL))
    for count in parts:
        if not count.isdecimal():
            break
        paths = [next(parts, "") for _ in range(int(count))]
        kind = next(parts, "")
        next(parts, "")
        if (named := re.match(r"CONFLICT \((.+)\)", kind)) is not None:
            for path in paths:
                found.setdefault(path, named[1])
    return found


def _readable(text: str) -> str:
    """What is no UTF-8 in git's words can neither be stored nor shown."""
    return text.encode(errors="surrogateescape").decode(errors="replace").replace("\0", "�")
