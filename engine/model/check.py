"""A command that says whether work is right, and how it went."""

from __future__ import annotations

from msgspec import Struct


class CheckResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a check went."""

    command: str
    code: int | None
    """Its exit code; None where it could not be started, or was ended for its time."""
    took_ms: int
    late: bool = False
    """It was ended because its time was over."""
    output: str = ""
    """What it printed, standard error too; of much, the beginning and the end."""
    cut: int = 0
    """So many bytes of it were left out."""
    file: str = ""
    """Where the same is kept, in the run directory."""
    problem: str = ""
    """Why it could not be run."""

    @property
    def passed(self) -> bool:
        return self.code == 0 and not self.late

    @property
    def word(self) -> str:
        """How it ended, in a word or two."""
        if self.problem:
            return "not run"
        if self.late:
            return "too slow"
        return "ok" if self.code == 0 else f"exit {self.code}"
