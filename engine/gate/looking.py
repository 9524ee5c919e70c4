"""Looks at a finished workspace: what was changed, what is there, how its repository stands.

What decides is taken from the database and from git, and not from files that the agent could have written.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config import EvidenceSettings
from engine.errors import HeadwayError
from engine.gate import patch
from engine.gate.claims import Git
from engine.gate.evidence import Seen
from engine.gate.patch import FilePatch
from engine.model import DiffStat
from engine.runner.git import GitError, git
from engine.runner.own_refs import take_back
from engine.runner.roots import held_to, root_below
from engine.runner.run_dir import RunDir, read_regular, run_dir
from engine.runner.workspace import Placed, Workspaces
from engine.store.rows import AttemptRow

PATCH_BYTES = 16 << 20  #: of a diff that is looked at: past that it is refused as too large to be read
COPY_BYTES = 256 << 20  #: of a directory outside git that is hashed, or copied for a reviewer
COPY_FILES = 20_000
_REFS = ("for-each-ref", "--count=1", "--format=%(refname:short)", "--contains", "HEAD", "refs/remotes")

#: What agents read as instructions. A reviewer's copy has them as they were before the work.
INSTRUCTIONS = (
    "CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", "AGENTS.override.md", "GEMINI.md", ".cursorrules", "opencode.json",
    "opencode.jsonc", ".mcp.json",
)  # fmt: skip
INSTRUCTION_FOLDERS = (".claude", ".codex", ".gemini", ".opencode", ".agents", ".cursor")


@dataclass(frozen=True, slots=True)
class Result:
    """A workspace as it stands. `tree`: empty where there is no telling."""

    placed: Placed
    seen: Seen
    text: str = ""
    """The diff."""
    tree: str = ""

    @property
    def patches(self) -> Sequence[FilePatch]:
        return self.seen.patches

    @property
    def diff(self) -> DiffStat | None:
        return self.seen.diff


async def placed(home: Path, tried: AttemptRow) -> Placed:
    """The workspace of an attempt, as the database knows it. Raises `GitError` where it is none any more."""
    directory = Path(tried.workspace or "/nonexistent")
    if tried.base is None:
        return Placed(directory)
    root = root_below(home, directory) or held_to(home, directory)
    if root is None:
        root = Path(await git(directory, "rev-parse", "--show-toplevel"))
    if tried.branch is not None:
        await take_back(root, tried.branch, run_dir(home, tried.job, tried.number))
    return Placed(directory, root=root, branch=tried.branch, base=tried.base)


async def look(workspaces: Workspaces, tried: AttemptRow, folder: Path, asked: EvidenceSettings) -> Result:
    """What is in the workspace of an attempt. Its diff is put into the folder. Nothing in the work makes it raise."""
    folder.mkdir(parents=True, exist_ok=True)
    directory = Path(tried.workspace or "/nonexistent")
    try:
        where = await placed(workspaces.home, tried)
        looked = await workspaces.look(where, RunDir(folder))
    except (HeadwayError, OSError) as error:
        return Result(Placed(directory), Seen(problem=str(error) or type(error).__name__))
    there = await asyncio.to_thread(_there, where.root or directory, asked.files)
    if looked is None:
        tree = await asyncio.to_thread(content_hash, directory)
        return Result(where, Seen(there=there, empty=not _any(directory)), tree=tree)
    data = await asyncio.to_thread(read_regular, RunDir(folder).diff, PATCH_BYTES + 1)
    if data is None or len(data) > PATCH_BYTES:
        return Result(where, Seen(diff=looked.diff, there=there, problem="the diff is too large to be read"))
    text = data.decode(errors="replace")
    problem = "" if looked.diff.whole else "not everything in the workspace can be read by git"
    return Result(where, Seen(patch.files(text), looked.diff, there, problem=problem), text, looked.tree)


async def tree_of(workspaces: Workspaces, tried: AttemptRow, folder: Path) -> str:
    """What stands in a workspace now, as a hash; empty where there is no telling."""
    inside = folder / "now"
    try:
        inside.mkdir(parents=True, exist_ok=True)
        where = await placed(workspaces.home, tried)
        looked = await workspaces.look(where, RunDir(inside))
        return looked.tree if looked is not None else await asyncio.to_thread(content_hash, where.directory)
    except (HeadwayError, OSError):
        return ""
    finally:
        shutil.rmtree(inside, ignore_errors=True)


async def repository(where: Placed) -> Git:
    """What git says of commits and of remotes."""
    if where.root is None or where.base is None:
        return Git()
    try:
        head = await git(where.root, "rev-parse", "HEAD")
        kind = await git(where.root, "cat-file", "-t", where.base)
        remotes = await git(where.root, "remote")
        pushed = bool(remotes) and bool(await git(where.root, *_REFS))
    except GitError:
        return Git()
    committed = None if kind != "commit" else head != where.base
    told = f"HEAD is {head[:12]}" + (", as it was at the beginning: there is no commit" if committed is False else "")
    remote = f"a remote has {head[:12]}" if pushed else f"no remote is known to have {head[:12]}"
    return Git(committed, pushed, told, remote if remotes else "there is no remote")


def named_there(root: Path, names: Sequence[str]) -> frozenset[str]:
    """Those of the named paths that are there. Blocks: call it in a thread."""
    found = set()
    for name in names:
        inside = name.removeprefix(f"{root}/")
        if not inside.startswith("/") and os.path.lexists(root / inside):
            found.add(name)
    return frozenset(found)


def content_hash(directory: Path) -> str:
    """A hash of all files below a directory; empty where there are too many. Blocks: call it in a thread."""
    digest, size = hashlib.sha256(), 0
    try:
        for number, path in enumerate(_walk(directory)):
            info = path.lstat()
            size += info.st_size
            if number >= COPY_FILES or size > COPY_BYTES:
                return ""
            data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            name = os.fsencode(path.relative_to(directory))
            digest.update(b"%d %d %o " % (len(name), len(data), info.st_mode) + name + data)
    except OSError:
        return ""
    return digest.hexdigest()


def copy(directory: Path, to: Path) -> str:
    """Copy a directory outside git for a reviewer; the copy's hash, or nothing where it is too large.

    What agents take for instructions is left out: how it was before the work is not known. Blocks: call it in a thread.
    """
    if not content_hash(directory):
        return ""
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(directory, to, symlinks=True, ignore=lambda _, names: {name for name in names if instructs(name)})
    return content_hash(to)


async def commit_of(result: Result, name: str, folder: Path) -> str:
    """A commit of the result for a reviewer's worktree, under a name of ours so that git keeps it.

    What agents take for instructions is in it as it was before the work. Raises `GitError`.
    """
    root, base = result.placed.root, result.placed.base
    assert root is not None and base is not None, "only a git workspace has a tree"
    env = {"GIT_INDEX_FILE": str(folder / "review-index")}
    await git(root, "read-tree", result.tree, env=env)
    for path in dict.fromkeys(name for one in result.patches for name in (one.old, one.new) if name is not None):
        if instructs(path):
            await _as_before(root, base, path, env)
    tree = await git(root, "write-tree", env=env)
    parent = ["-p", base] if await git(root, "cat-file", "-t", base) == "commit" else []
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
    made = await git(root, "commit-tree", tree, *parent, "-m", f"the result to be reviewed: {name}", env=who)
    await git(root, "update-ref", ref(name), made)
    (folder / "review-index").unlink(missing_ok=True)
    return made


async def forget(where: Placed, name: str) -> None:
    """The commit was read. That its name cannot be taken away harms nobody."""
    if where.root is not None:
        try:
            await git(where.root, "update-ref", "-d", ref(name))
        except GitError:
            return


def ref(name: str) -> str:
    return f"refs/headway/gate/{name}"


def instructs(path: str) -> bool:
    """Whether an agent that works in a directory with this file takes it for instructions."""
    parts = path.split("/")
    return parts[-1] in INSTRUCTIONS or not set(INSTRUCTION_FOLDERS).isdisjoint(parts)  # the folder may be a link


_WHO = {"NAME": "Headway", "EMAIL": "headway@localhost", "DATE": "1970-01-01T00:00:00Z"}


async def _as_before(root: Path, base: str, path: str, env: dict[str, str]) -> None:
    line = await git(root, "ls-tree", base, "--", path)
    mode, kind, sha = line.split()[:3] if line else ("", "", "")
    if line and kind != "tree":  # of a folder each file is put back by itself
        put = ("--add", "--replace", "--cacheinfo", f"{mode},{sha},{path}")
        await git(root, "update-index", *put, env=env)
    else:
        await git(root, "update-index", "--force-remove", "--", path, env=env)


def _there(root: Path, wanted: Sequence[str]) -> list[str]:
    """Those of some paths and patterns of which there is something, and not only an empty directory."""
    found = []
    for one in wanted:
        try:
            if any(path.is_file() or (path.is_dir() and _any(path)) for path in root.glob(one.rstrip("/"))):
                found.append(one)
        except (OSError, ValueError, NotImplementedError):
            continue
    return found


def _any(directory: Path) -> bool:
    return next(_walk(directory), None) is not None


def _walk(directory: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(directory):
        folders.sort()
        links = [name for name in folders if (Path(at) / name).is_symlink()]
        for name in sorted([*names, *links]):
            if (path := Path(at) / name).is_symlink() or path.is_file():
                yield path
