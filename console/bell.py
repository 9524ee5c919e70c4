"""How a console rings: the bell for every terminal, and OSC 9 for those that show it as a notification."""

from __future__ import annotations

from collections.abc import Sequence

from console.format import clean_line
from engine.events import Notified

LIMIT = 200  #: characters of what is shown

#: Terminals that print what they do not know instead of skipping it.
SIMPLE = frozenset({"linux", "vt100", "vt102", "vt220"})


def words(told: Sequence[Notified]) -> str:
    """What is said of notices that came together: the newest, and how many more. Without control characters."""
    newest = told[-1]
    said = clean_line(f"{newest.title}: {newest.text.splitlines()[0]}" if newest.text else newest.title)[:LIMIT]
    return f"{said} (and {len(told) - 1} more)" if len(told) > 1 else said


def ring(said: str, term: str) -> str:
    """What is written to a terminal of a kind (its `TERM`)."""
    return "\a" if term in SIMPLE else f"\x1b]9;{said}\x07\x07"
