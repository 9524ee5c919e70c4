"""The archive of a backup with run files: a tar.gz of the database, headway.yaml and `runs/`, and of what is in it.

The list of contents comes last and holds the size and the SHA-256 of every file, so that an archive that was cut,
spoilt or added to is found out before anything of it is put in place.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from engine.errors import RefusedError, StorageError
from engine.foreign import NOT_JSON
from engine.runner.run_dir import open_regular
from engine.store.store import FILE
from engine.upkeep import memory
from engine.upkeep.kept import SUFFIX, kept_as

SETTINGS = "headway.yaml"
RUNS = "runs"
MEMORY = "memory.db"
CONTENTS = "contents.json"
PIECE_BYTES = 1 << 20
SETTINGS_BYTES = 4 << 20  #: of headway.yaml, as far as the engine itself would read it
CONTENTS_BYTES = 1 << 28  #: of the list: some million files

_RUN_FILE = re.compile(r"runs/\d{1,18}/[^/]+/.+", re.DOTALL)


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """One file of an archive as it was when it was put in."""

    name: str
    size: int
    sha256: str


class _Hashed:
    """A file of which everything that is read goes through a checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.size = 0

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        self._sum.update(data)
        self.size += len(data)
        return data

    def kept(self, name: str) -> Kept:
        return Kept(name, self.size, self._sum.hexdigest())


def pack(out: IO[bytes], home: Path, database: Path, settings: bytes | None, remembered: Path | None = None) -> int:
    """Write an archive of a database, a settings file, memory and a home's run directories. Returns how many files of
    runs.
    """
    kept: list[Kept] = []
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as archive:
        with database.open("rb") as file:
            kept.append(_add(archive, file, FILE))
        if settings is not None:
            kept.append(_add_bytes(archive, settings, SETTINGS))
        if remembered is not None:
            with remembered.open("rb") as file:
                kept.append(_add(archive, file, MEMORY))
        kept += [_add_bytes(archive, content, name) for name, content in memory.core_files(home)]
        before = len(kept)
        kept += _add_runs(archive, home)
        _add_bytes(archive, msgspec.json.encode(kept), CONTENTS)
    return len(kept) - before


def _add_runs(archive: tarfile.TarFile, home: Path) -> Iterator[Kept]:
    for directory, folders, names in os.walk(home / RUNS):
        folders.sort()
        for name in sorted(names):
            path = Path(directory) / name
            member = str(path.relative_to(home))
            if not _RUN_FILE.fullmatch(member) or not _is_utf8(member):
                continue
            fd = open_regular(path)  # a pipe or a link that an agent made is left
            if fd is None and not name.endswith(SUFFIX):
                # The engine may have compressed it since its directory was listed.
                fd, member = open_regular(kept_as(path)), member + SUFFIX
            if fd is not None:
                with os.fdopen(fd, "rb") as file:
                    yield _add(archive, file, member)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _add(archive: tarfile.TarFile, file: IO[bytes], name: str) -> Kept:
    """Add a file with what it holds now: it may grow meanwhile."""
    info = archive.gettarinfo(arcname=name, fileobj=file)
    info.type = tarfile.REGTYPE  # what has two names is two files
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    source = _Hashed(file)
    archive.addfile(info, source)
    return source.kept(name)


def _add_bytes(archive: tarfile.TarFile, content: bytes, name: str) -> Kept:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    source = _Hashed(io.BytesIO(content))
    archive.addfile(info, source)
    return source.kept(name)


def unpack(file: Path, database: Path, runs: Path | None) -> bytes | None:
    """Write the database of an archive to one place and its run directories below another. Returns the settings.

    Without a place for the run directories, they are only read.

    Raises `RefusedError` for one that Headway did not make, and `StorageError` for one that is not as it was made.
    Then what has been written so far is to be thrown away.
    """
    with file.open("rb") as raw:
        return _read(raw, file, database, runs)


def verify(raw: BinaryIO, file: Path) -> None:
    """Read all of an archive again, and compare it with its list. Raises as `unpack` does."""
    _read(raw, file, None, None)


def begins(file: Path) -> bool:
    """Whether a file begins as an archive of ours does: with a database."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            first = archive.next()
            return first is not None and first.name == FILE and first.isreg()
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        return False


def _read(raw: BinaryIO, file: Path, database: Path | None, runs: Path | None) -> bytes | None:
    settings: bytes | None = None
    listed: list[Kept] | None = None
    found: dict[str, Kept] = {}
    with _damage(file), gzip.GzipFile(fileobj=raw) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            name = member.name
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or listed is not None or name in found or not _is_ours(name):
                raise RefusedError(f"{file} is no backup of Headway: it holds {name!r}, which it would not")
            source = _Hashed(content)
            if name == CONTENTS:
                listed = msgspec.json.decode(source.read(CONTENTS_BYTES), type=list[Kept])
                continue
            if name == SETTINGS:
                settings = source.read(SETTINGS_BYTES + 1)
                if len(settings) > SETTINGS_BYTES:
                    raise RefusedError(f"{file} is no backup of Headway: its {name} is larger than any that is read")
            elif name == FILE:
                _write(source, database, member)
            elif name == MEMORY:
                _write(source, None if database is None else database.with_name(memory.COPY), member)
            elif memory.is_core(name):
                folder = None if database is None else database.with_name(memory.CORE)
                _write(source, None if folder is None else folder / name.partition("/")[2], member)
            else:
                _write(source, None if runs is None else runs / Path(name).relative_to(RUNS), member)
            found[name] = source.kept(name)
        while stream.read(PIECE_BYTES):
            pass  # the checksum of the whole stands at its very end
    if FILE not in found:
        raise RefusedError(f"{file} is no backup of Headway: there is no {FILE} in it")
    if listed is None:
        raise StorageError(f"{file} is damaged (its end is missing): take another backup")
    expected = {one.name: one for one in listed}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise StorageError(f"{file} is damaged ({wrong[0]!r} is not as it was saved): take another backup")
    return settings


def _is_ours(name: str) -> bool:
    if name in (FILE, SETTINGS, CONTENTS, MEMORY) or memory.is_core(name):
        return True
    return bool(_RUN_FILE.fullmatch(name)) and not {"", ".", ".."} & set(name.split("/"))


def _write(source: _Hashed, target: Path | None, member: tarfile.TarInfo) -> None:
    """Write a file for the owner alone; without a target, only read it."""
    if target is None:
        while source.read(PIECE_BYTES):
            pass
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        shutil.copyfileobj(source, out, PIECE_BYTES)
    with contextlib.suppress(OverflowError, ValueError, OSError):  # no time that a clock shows: then it is that of now
        os.utime(target, (member.mtime, member.mtime))


@contextmanager
def _damage(file: Path) -> Iterator[None]:
    """What tar, gzip and the list say of a damaged archive, in one form."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, *NOT_JSON) as error:
        raise StorageError(f"{file} is damaged ({error}): take another backup") from error
