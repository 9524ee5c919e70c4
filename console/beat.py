"""The one clock of the console: how often the screen may change, by the line that it is seen through."""

from __future__ import annotations

from enum import StrEnum

from console.messages import Pulse
from engine.errors import UsageError


class Link(StrEnum):
    """The line between the console and the operator's eyes."""

    LOCAL = "local"
    SSH = "ssh"
    THIN = "thin"


#: Beats a second: for the focused widget, and for all others. Measured: a wall of eight panes at these rates.
_RATES = {Link.LOCAL: (4, 4), Link.SSH: (2, 1), Link.THIN: (1, 1)}


def choose_link(name: str, over_ssh: bool) -> Link:
    """The profile that is asked for; `auto` is `ssh` where the session came over SSH, else `local`."""
    if name == "auto":
        return Link.SSH if over_ssh else Link.LOCAL
    try:
        return Link(name)
    except ValueError:
        raise UsageError(f"--link {name}: it is one of auto, {', '.join(Link)}") from None


class Beat:
    """Turns the passing of time into pulses."""

    def __init__(self, link: Link) -> None:
        self._fast, self._steady = _RATES[link]
        self._count = 0
        self._second = -1

    @property
    def interval(self) -> float:
        """Seconds between two beats."""
        return 1 / self._fast

    def pulse(self, now: int) -> Pulse:
        """What may happen at this beat. `now` is milliseconds UTC."""
        steady = self._count % (self._fast // self._steady) == 0
        calm = self._count % self._fast == 0
        self._count += 1
        second = now // 1000
        passed = steady and second != self._second
        if passed:
            self._second = second
        return Pulse(fast=True, steady=steady, calm=calm, second=passed, now=now)
