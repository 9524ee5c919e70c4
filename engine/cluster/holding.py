"""An attempt that a node holds: what of it is written down, and what can be read of it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.cluster.wire import Have, Heard
from engine.model import Footprint
from engine.redact import Secrets
from engine.runner import procfs
from engine.runner.cgroup import Cgroups
from engine.runner.ground import Here
from engine.runner.launch import placed_at
from engine.runner.run_dir import Claimed, RunDir, open_regular, read_regular
from engine.runner.tree import Tree
from engine.runner.workspace import Placed

NAME = "held.json"  #: in the run directory: it is held for an engine
HELD_BYTES = 16 << 20
CHUNK_BYTES = 1 << 19  #: of one file in one answer, so that a flood does not keep the others waiting
LINE_BYTES = 1 << 24  #: a longer line is passed on in pieces


class Kept(Struct, frozen=True):
    """What a node has to know of an attempt after it was started anew itself."""

    attempt: int
    job: int
    number: int
    marker: str
    agent: str
    git: bool
    ref: str
    known: list[str]
    """Commits of the workspace that the engine has."""


@dataclass(slots=True)
class Held:
    """One attempt on this node."""

    kept: Kept
    run: RunDir
    ground: Here
    placed: Placed
    pid: int
    waiting: asyncio.Task[int | None] | None = None
    """Until its shim has ended."""
    told: Footprint | None = None
    """What was last said of what it takes."""
    heard: set[str] = field(default_factory=set)
    """The lines that were written to its input, by what they are called."""

    @property
    def over(self) -> bool:
        return self.waiting is None or self.waiting.done()

    @property
    def code(self) -> int | None:
        """How it ended, as far as that is known."""
        written = self.run.exit_code()
        if written is not None or self.waiting is None or not self.waiting.done() or self.waiting.cancelled():
            return written
        return self.waiting.result()

    @property
    def started(self) -> bool:
        """A process of it was started, or will be: it was not only meant to be."""
        return self.run.claim()[0] is not Claimed.VOIDED

    @property
    def rebooted(self) -> bool:
        _, who = self.run.claim()
        return who is not None and who.boot != procfs.boot_id()

    def look(self, have: Have, secrets: Secrets, now: Footprint | None) -> Heard | None:
        """What is new of it; None where nothing is. Blocks for as long as reading a little of a file takes."""
        over = self.over  # before the files are read: what was printed has been printed by then
        stdout, all_out = _piece(self.run.stdout, have.stdout, secrets, whole=over)
        stderr, all_err = _piece(self.run.stderr, have.stderr, secrets, whole=over)
        ended = over and all_out and all_err
        new = now if now != self.told else None
        if not (stdout or stderr or ended or new):
            return None
        self.told = now
        code = self.code if ended else None
        return Heard(
            have.attempt,
            have,
            stdout,
            stderr,
            ended,
            code,
            ended and code is None and self.rebooted,
            new.memory if new is not None else None,
            new.cpu_ms if new is not None else None,
            new.processes if new is not None else None,
        )


def _piece(path: Path, offset: int, secrets: Secrets, *, whole: bool) -> tuple[bytes, bool]:
    """What a file has after an offset, a piece at most, and whether that is all. Keys in it are masked, byte for byte.

    A line that is not complete waits for its end, so that no key is cut in two.
    """
    fd = open_regular(path)
    if fd is None:
        return b"", True
    try:
        size = os.fstat(fd).st_size
        data = os.pread(fd, CHUNK_BYTES, offset)
        if b"\n" not in data and offset + len(data) < size:
            data = os.pread(fd, LINE_BYTES, offset)
        rest = offset + len(data) < size
        if (rest or not whole) and (end := data.rfind(b"\n") + 1) > 0:
            data = data[:end]
        elif not whole and not rest:
            data = b""
        return secrets.masked(data), offset + len(data) >= size
    finally:
        os.close(fd)


def keep(run: RunDir, kept: Kept) -> None:
    """Write it down, whole or not at all: before it is started, so that nobody starts it again."""
    temp = run.path / f"{NAME}.tmp"
    temp.write_bytes(msgspec.json.encode(kept))
    temp.rename(run.path / NAME)


def find(home: Path, cgroups: Cgroups) -> list[Held]:
    """What this node was holding before it was started anew."""
    found = []
    for path in sorted((home / "runs").glob(f"*/*/{NAME}")):
        run = RunDir(path.parent)
        try:
            kept = msgspec.json.decode(read_regular(path, HELD_BYTES) or b"", type=Kept)
        except (UnicodeDecodeError, msgspec.MsgspecError):
            continue
        if run.facts() is None:
            path.unlink()  # it was only being made ready
            continue
        found.append(held(run, kept, cgroups))
    return found


def held(run: RunDir, kept: Kept, cgroups: Cgroups, whole: Tree | None = None) -> Held:
    """An attempt from what is written of it. Without its processes, they are looked for."""
    if whole is None:
        run.void()  # a shim that is still on its way will not start
        _, who = run.claim()
        whole = Tree(who, kept.marker, cgroups.of(kept.marker), adopted=True)
    ground = Here(whole, run, cgroups, subreaper=False)
    pid = whole.root.pid if whole.root is not None else 0
    return Held(kept, run, ground, placed_at(run.facts()) or Placed(run.path), pid)
