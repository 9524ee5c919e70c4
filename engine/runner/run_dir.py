"""The directory of one attempt: `runs/<job>/<number>/`. What is in it outlives the engine."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from engine.agents.llm.lines import ANSWERS
from engine.foreign import NOT_JSON
from engine.runner.procfs import Identity

FACTS_BYTES = 1 << 16
TAIL_BYTES = 4_000  #: of standard error, for a reason's quotation
KEPT = "cgroup"  #: what the kernel counted in an attempt's scope, which is gone with it
TIDIED = "tidied"  #: the file that says that an attempt has changed nothing, and its worktree is being removed
VOID = "void"  #: what an engine writes into a claim so that no late shim starts


class Claimed(StrEnum):
    """What the claim file says of an attempt's start."""

    NEVER = "never"
    VOIDED = "voided"
    STARTED = "started"


class Facts(msgspec.Struct, frozen=True):
    """Where and as what an attempt runs."""

    workspace: str
    session: str | None
    branch: str | None
    base: str | None
    repository: str | None
    root: str | None
    record: str | None = None
    """The agent's own record of its session, as `Agent.record` names it."""
    recorded: int = 0
    """So many bytes of it were there before the attempt began."""
    resumes: str | None = None
    forked: bool = False
    retires: str | None = None
    why: str = ""
    handed: bool = True
    note: str | None = None
    tokens: int = 0
    tapped: str | None = None
    """Where the calls of a tapped attempt go."""
    capability: str | None = None
    """The hash of the token by which its agent calls Headway."""


@dataclass(frozen=True, slots=True)
class RunDir:
    path: Path

    @property
    def stdout(self) -> Path:
        return self.path / "stdout"

    @property
    def stderr(self) -> Path:
        return self.path / "stderr"

    @property
    def diff(self) -> Path:
        return self.path / "diff.patch"

    @property
    def answer(self) -> Path | None:
        """The file that holds the whole answer of a model call; None for any other attempt."""
        found = (self.path / name for name in ANSWERS)
        return next((path for path in found if path.is_file() and not path.is_symlink()), None)

    @property
    def pipe(self) -> Path:
        """Standard input of an attempt that can be answered."""
        return self.path / "input"

    def holder(self) -> int | None:
        """The process that keeps the pipe open, as the shim wrote it."""
        text = (read_regular(self.path / "holder", 32) or b"").strip()
        return int(text) if text.isdigit() else None

    def make(self) -> None:
        """An empty directory. What stands there already is another database's run of that number: it is moved aside."""
        number = 1
        while self.path.exists() and any(self.path.iterdir()):
            aside = self.path.with_name(f"{self.path.name}.aside-{number}")
            if not aside.exists():
                self.path.rename(aside)
            number += 1
        self.path.mkdir(parents=True, exist_ok=True)

    def exit_code(self) -> int | None:
        """The code that the shim wrote, once it has."""
        text = (read_regular(self.path / "exit", 64) or b"").strip()
        return int(text) if text.isdigit() and len(text) < 5 else None

    def claim(self) -> tuple[Claimed, Identity | None]:
        """Whether the shim began, and who it is. The identity is None where it died before it could say."""
        if not os.path.lexists(self.path / "claim"):
            return Claimed.NEVER, None
        words = (read_regular(self.path / "claim", 200) or b"").decode(errors="replace").split()
        if words == [VOID]:
            return Claimed.VOIDED, None
        if len(words) == 3 and all(word.isdecimal() and len(word) <= 20 for word in words[:2]):
            return Claimed.STARTED, Identity(int(words[0]), int(words[1]), words[2])
        return Claimed.STARTED, None

    def note(self, facts: Facts) -> None:
        """Write down where the attempt runs before it is started: the database hears of it only afterwards."""
        (self.path / "facts.json").write_bytes(msgspec.json.encode(facts))

    def facts(self) -> Facts | None:
        """What was noted; None where the engine never came as far as starting it."""
        try:
            return msgspec.json.decode(read_regular(self.path / "facts.json", FACTS_BYTES) or b"", type=Facts)
        except NOT_JSON:
            return None

    def note_tidied(self) -> None:
        """Write down that nothing was changed, before the worktree goes that shows it: the engine may go with it."""
        (self.path / TIDIED).write_bytes(b"")

    @property
    def tidied(self) -> bool:
        return read_regular(self.path / TIDIED, 1) is not None

    def void(self) -> bool:
        """Make the claim ourselves, so that a shim on its way will not start. False where it was first."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(self.path / "claim", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(fd, "w") as file:
            file.write(VOID)
        return True

    def stderr_tail(self) -> str:
        """The last lines of standard error."""
        return (read_regular(self.stderr, -TAIL_BYTES) or b"").decode(errors="replace").strip()


def open_regular(path: Path) -> int | None:
    """A descriptor of a plain file, or None: an agent can put a pipe or a link there, and nobody may wait on it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def read_regular(path: Path, count: int) -> bytes | None:
    """The first `count` bytes of a plain file, or the last where it is negative; None where there is no such file."""
    fd = open_regular(path)
    if fd is None:
        return None
    try:
        start = max(0, os.fstat(fd).st_size + count) if count < 0 else 0
        return os.pread(fd, abs(count), start)
    except OSError:
        return None
    finally:
        os.close(fd)


def run_dir(home: Path, job: int, number: int) -> RunDir:
    return RunDir(home / "runs" / str(job) / str(number))
