"""A file of jobs, with all that is wrong in it, whoever finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from engine.documents import Keys, Reading, examine
from engine.errors import EntryError
from engine.model import JobSpec, Wanted


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of jobs, as far as it can be read, with what is wrong in it."""

    reading: Reading[Any]
    specs: list[JobSpec]
    batch: str | None = None
    then: JobSpec | None = None
    at: Keys = ()
    """The way to the list of jobs."""

    def wanted(self, specs: Sequence[JobSpec]) -> Wanted:
        """The submission of these jobs, with what the file says of them together."""
        return Wanted(list(specs), batch=self.batch, then=self.then)

    @property
    def is_right(self) -> bool:
        return not self.reading.mistakes

    def add(self, error: EntryError) -> None:
        """Add what the engine found wrong in the entries, each at its line."""
        for one in (error, *error.others):
            where = (*self.at, one.entry) if one.entry < len(self.specs) else ("then",)
            self.reading.complain([((*where, one.key), one.why)])

    def check(self) -> None:
        """Raise `DocumentError` with all that is wrong."""
        self.reading.checked()


class Listed(Struct, frozen=True, forbid_unknown_fields=True):
    """A job file that says `jobs:` at its top."""

    jobs: list[JobSpec]
    batch: str | None = None
    then: JobSpec | None = None


_Content: Any = Listed | list[JobSpec]


def read_job_file(text: str, name: str) -> JobFile:
    """The jobs of a file: a list, or a mapping with the key `jobs`. One bad entry refuses the whole file, later.

    Raises `DocumentError` for one of which nothing can be read.
    """
    reading = examine(text, name, _Content)
    read = reading.value if reading.value is not None else reading.checked()
    if isinstance(read, Listed):
        return JobFile(reading, read.jobs, read.batch, read.then, ("jobs",))
    return JobFile(reading, read)
