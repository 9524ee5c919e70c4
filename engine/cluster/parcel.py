"""A workspace on its way to a node and back: what git has as a bundle, a plain directory as a compressed archive.

What is not committed travels as a commit on top, and is not committed where it arrives. Ignored files stay where they
are, on either side: a cache of packages is not carried to and fro.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.cluster.wire import Parcel
from engine.errors import RefusedError
from engine.runner import set_back, snapshot
from engine.runner.git import git, tried
from engine.runner.hidden import add_all, unhide
from engine.runner.run_dir import RunDir
from engine.runner.set_back import WHO

PARCEL_BYTES = 1 << 30  #: a larger one would be held in memory on its way, more than once
LEVEL = 1  #: of compression: the line is quicker than the highest level
NAME = "parcel"  #: in the run directory, while one is packed or unpacked
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}").fullmatch


async def pack(root: Path, run: RunDir, ref: str, known: Sequence[str]) -> Parcel:
    """A git working tree, without what the other side has. `known`: commits that it has.

    Raises `GitError`, or `RefusedError` for one that is too large.
    """
    tree, _ = await snapshot.take(root, run)
    head = await git(root, "rev-parse", "HEAD")
    tip = head
    if tree != await git(root, "rev-parse", "HEAD^{tree}"):
        tip = await git(root, "commit-tree", tree, "-p", head, "-m", "not committed", env=WHO)
    branch = await git(root, "rev-parse", "--abbrev-ref", "HEAD")
    has = [f"^{one}" for one in await _known(root, known)]
    if not await git(root, "rev-list", "--max-count=1", tip, *has):
        return Parcel(git=True, data=b"", head=head, tip=tip, branch=branch, ref=ref)
    shallow = (await _shallow(root)).splitlines()
    file = run.path / NAME
    await git(root, "update-ref", ref, tip)
    try:
        await git(root, "bundle", "create", "--quiet", str(file), ref, *has)
        if file.stat().st_size > PARCEL_BYTES:
            raise RefusedError(f"the history of {root} is too large for a node: {file.stat().st_size >> 20} MiB")
        data = file.read_bytes()
        return Parcel(git=True, data=data, head=head, tip=tip, branch=branch, ref=ref, shallow=shallow)
    finally:
        file.unlink(missing_ok=True)
        await git(root, "update-ref", "-d", ref)


async def receive(repository: Path, parcel: Parcel, run: RunDir) -> None:
    """Take a bundle's commits into a repository, under its `ref`. Raises `GitError`."""
    if not parcel.data:
        await git(repository, "update-ref", parcel.ref, parcel.tip)
        return
    if new := [one for one in parcel.shallow if one not in await _shallow(repository)]:
        with (await _shallow_file(repository)).open("a") as shallow:
            shallow.write("".join(f"{one}\n" for one in new))
    file = run.path / NAME
    try:
        file.write_bytes(parcel.data)
        await git(repository, "fetch", "--quiet", "--no-tags", str(file), f"+{parcel.ref}:{parcel.ref}")
    finally:
        file.unlink(missing_ok=True)


async def lay(root: Path, parcel: Parcel) -> None:
    """Bring a working tree to what a parcel says: its commits, and what was not committed. Does no harm twice.

    Every file that is not ignored has to be in a parcel that left from here, or be nobody's.
    """
    await set_back.calm(root)
    await unhide(root)
    await add_all(root)
    await git(root, "read-tree", "--reset", "-u", parcel.tip)
    # A soft reset would refuse in the middle of a merge.
    await git(root, "update-ref", "-m", "a parcel", "HEAD", parcel.head)
    await git(root, "reset", "--quiet")


def checked(parcel: Parcel, ref: str) -> Parcel:
    """What a node has sent, where it names what it was asked for. Raises `RefusedError`: a ref could be any branch."""
    if parcel.git and (parcel.ref != ref or not (_COMMIT(parcel.head) and _COMMIT(parcel.tip))):
        raise RefusedError(f"what it sends is not called {ref}")
    return msgspec.structs.replace(parcel, shallow=[])  # where the history ends is known here


async def forget(repository: Path, ref: str) -> None:
    """Its commits are where they belong."""
    await tried(repository, "update-ref", "-d", ref)


async def _known(root: Path, commits: Sequence[str]) -> list[str]:
    """Those of the commits that this repository has as well."""
    asked = "".join(f"{one}\n" for one in commits if _COMMIT(one)).encode()
    told = await git(root, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked) if asked else ""
    return [name for name, _, kind in (line.partition(" ") for line in told.splitlines()) if kind == "commit"]


async def _shallow(root: Path) -> str:
    """Where the history of a shallow clone ends, a commit a line; nothing for a whole one."""
    path = await _shallow_file(root)
    return path.read_text() if path.is_file() else ""


async def _shallow_file(root: Path) -> Path:
    return Path(await git(root, "rev-parse", "--path-format=absolute", "--git-path", "shallow"))


async def pack_files(directory: Path) -> Parcel:
    """A plain directory. Raises `RefusedError` for one that is too large."""
    data, left_out = await asyncio.to_thread(archive, directory, None)
    return Parcel(git=False, data=data, left_out=left_out)


async def lay_files(directory: Path, parcel: Parcel) -> None:
    """Let a directory hold what a parcel holds, and nothing else."""
    await asyncio.to_thread(_lay_files, directory, parcel.data)


def _lay_files(directory: Path, data: bytes) -> None:
    fresh, old = (directory.with_name(f"{directory.name}.{word}") for word in ("coming", "going"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    extract(data, fresh)
    if directory.exists():
        directory.rename(old)
    fresh.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def archive(directory: Path, names: Sequence[str] | None) -> tuple[bytes, int]:
    """What lies in a directory, or the named entries of it, and how much of it could not be taken. Blocks."""
    out = io.BytesIO()
    left_out = 0
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=LEVEL) as file:
        for name in sorted(names if names is not None else [one.name for one in directory.iterdir()]):
            for path in _below(directory / name):
                try:
                    if path.is_symlink() or path.is_file() or path.is_dir():
                        file.add(path, str(path.relative_to(directory)), recursive=False)
                except OSError:
                    left_out += 1
                if out.tell() > PARCEL_BYTES:
                    raise RefusedError(f"{directory} is too large to be carried: more than {PARCEL_BYTES >> 20} MiB")
    return out.getvalue(), left_out


def _below(path: Path) -> list[Path]:
    if path.is_dir() and not path.is_symlink():
        return [path, *(found for one in sorted(path.iterdir()) for found in _below(one))]
    return [path]


def extract(data: bytes, directory: Path, *, keep: bool = False) -> None:
    """Unpack an archive. What would lie outside of the directory is left out. `keep`: what is there stands. Blocks."""

    def inside(member: tarfile.TarInfo, to: str) -> tarfile.TarInfo | None:
        try:
            checked = tarfile.data_filter(member, to)
        except tarfile.FilterError:
            return None
        return None if keep and not checked.isdir() and (directory / checked.name).exists() else checked

    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as file:
        file.extractall(directory, filter=inside)
