"""What a fault did, as far as it could be seen from outside. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct


class Card(Struct, frozen=True, kw_only=True):
    """How one fault was come through. Times are milliseconds since it was put in."""

    fault: str
    jobs: int
    """That had been acknowledged."""
    detected: int | None = None
    """Until the log, or whoever waits, first told of it."""
    by: str = ""
    """What told of it."""
    recovered: int | None = None
    """Until all jobs had ended as they should; None where they did not."""
    lost: int = 0
    """Jobs of which there is no end."""
    twice: int = 0
    """Jobs whose work was done more than once."""
    skipped: str = ""
    """Why it was not put in here."""
    trouble: str = ""
    """What else was not as it should be."""

    @property
    def passed(self) -> bool:
        return not (self.lost or self.twice or self.trouble) and self.recovered is not None


def twice(marks: str) -> int:
    """How many jobs left their mark more than once. Each writes its number as the last that it does."""
    return sum(times > 1 for times in Counter(marks.split()).values())


def gap(seqs: Sequence[int], newest: int, first: int = 1) -> str:
    """What a reader of the log missed or was told twice, in words; nothing where it read each event once."""
    wanted = range(first, newest + 1)
    if list(seqs) == list(wanted):
        return ""
    missing, doubled = set(wanted) - set(seqs), len(seqs) - len(set(seqs))
    return f"{len(missing)} events were missed and {doubled} told twice"
