"""Pacing: background work keeps from the wall, so that urgent work still finds a door in it. Pure.

`reserve` stops it at a share of each window, `even` lets it use a window no faster than time goes by. It looks at what
the agents told of their windows: an account of which nothing is known is not paced. A window of minutes is not either:
it is over before anything could be saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from engine.dispatch import windows
from engine.window import Window

SHORTEST_MS = windows.HOUR  #: of windows that are paced
#: So near to the line one at a time starts: nobody knows how much an attempt will use, and what runs is not stopped.
NEAR = 0.05


class Mode(StrEnum):
    """How background work of an account is kept from its windows."""

    OFF = "off"
    EVEN = "even"
    RESERVE = "reserve"


@dataclass(frozen=True, slots=True)
class Pacing:
    """The pacing of one account."""

    mode: Mode = Mode.OFF
    reserve: float = 0.0
    """Share of each window that is kept for the others, 0 to 1."""
    background: int = 10
    """Jobs of this priority number and of higher ones are paced."""

    def paces(self, priority: int) -> bool:
        return self.mode is not Mode.OFF and priority >= self.background


UNPACED = Pacing()


@dataclass(frozen=True, slots=True)
class Wait:
    """Why background work does not start now. `until`: milliseconds UTC; None while it waits for a slot of its own."""

    window: Window
    used: float
    line: float
    """The share up to which it may be used now."""
    until: int | None


def wait(pacing: Pacing, found: Iterable[Window], model: str | None, now: int, running: int) -> Wait | None:
    """What keeps background work of a model from starting; None where nothing does. `running`: attempts of the account.

    Of several windows it is the one that does so for longest.
    """
    waits = [one for window in found if (one := _wait(pacing, window, model, now, running)) is not None]
    return max(waits, key=lambda one: one.until or 0, default=None)


def _wait(pacing: Pacing, window: Window, model: str | None, now: int, running: int) -> Wait | None:
    if not windows.applies(window, model) or (window.length or 0) < SHORTEST_MS:
        return None
    seen = windows.present(window, now)
    if seen is None or seen.used is None or window.length is None:
        return None
    end = seen.resets_at if seen.resets_at is not None else seen.at + windows.trust(window.name, window.length)
    if pacing.mode is Mode.RESERVE:
        line, until = 1.0 - pacing.reserve, end
    elif seen.resets_at is None:
        return None  # nobody knows how much of it is over
    else:
        begin = end - window.length
        line, until = min(1.0, max(0.0, (now - begin) / window.length)), begin + round(window.length * seen.used) + 1
    if seen.used >= line and until > now:
        return Wait(window, seen.used, line, min(end, until))
    if running and seen.used > line - NEAR:
        return Wait(window, seen.used, line, None)
    return None
