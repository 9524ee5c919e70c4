"""How a console rings: the bell for every terminal, and OSC 9 for those that show it as a notification."""

from __future__ import annotations

from console.format import clean_line
from engine.events import Notified

LIMIT = 200  #: characters of what is shown


def ring(told: Notified) -> str:
    """What is written to the terminal. Control characters of others' words never get there."""
    shown = clean_line(f"{told.title}: {told.text.splitlines()[0]}" if told.text else told.title)[:LIMIT]
    return f"\x1b]9;{shown}\x07\x07"
