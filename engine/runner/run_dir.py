"""The directory of one attempt: `runs/<job>/<number>/`. What is in it outlives the engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from engine.runner.procfs import Identity

TAIL_BYTES = 4_000  #: of standard error, for a reason's quotation
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

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def exit_code(self) -> int | None:
        """The code that the shim wrote, once it has."""
        try:
            return int((self.path / "exit").read_text())
        except (OSError, ValueError):
            return None

    def claim(self) -> tuple[Claimed, Identity | None]:
        """Whether the shim began, and who it is. The identity is None where it died before it could say."""
        try:
            words = (self.path / "claim").read_bytes().decode(errors="replace").split()
        except FileNotFoundError:
            return Claimed.NEVER, None
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
            return msgspec.json.decode((self.path / "facts.json").read_bytes(), type=Facts)
        except (OSError, msgspec.MsgspecError):
            return None

    def void(self) -> bool:
        """Make the claim ourselves, so that a shim on its way will not start. False where it was first."""
        self.make()
        try:
            fd = os.open(self.path / "claim", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(fd, "w") as file:
            file.write(VOID)
        return True

    def stderr_tail(self) -> str:
        """The last lines of standard error."""
        try:
            with self.stderr.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""


def run_dir(home: Path, job: int, number: int) -> RunDir:
    return RunDir(home / "runs" / str(job) / str(number))
